"""How spikes are computed: float neurons, integers, the twin, Lava as an oracle.

Where to begin, in reading order:

1. `program`: what runs on the chip, a graph of populations and synapses; `interface` says how
   images enter it and logits leave; `clock` says when a spike arrives and when a reset clears.
2. `fixed_point`: how registers decay, wrap and clip, on a page; `integer_neuron` adds spike and
   resets and runs it over time, in floats where they are proven exact; `kernel` sums what arrives,
   exactly, for the reasons given in `exact_sums`.
3. `twin`: runs a program, batched; `components` orders it, `recurrence` steps through its loops.
4. `integer_gradient`: how the twin is differentiated, by one of the `estimators`, which `neuron`,
   the float neuron of training, takes too.
5. `netx`: a `.net` file as a program, layer by layer (`netx_layers`), with what Lava makes of every
   number; `netx_simulation` runs it on an npz file (`netx_input`).
6. `lava`: the oracle, in processes of its own; `parity` compares the twin with it, value by value.
7. `nir_graph`: a NIR file in float; `nir_meta` holds what NIR leaves open, `nir_neurons` makes
   steps of its differential equations, `nir_steps` runs what needs a step at a time, loops too.

Trust rests on the tests: `tests/reference.py` is a slow loop written from the rules alone, and the
tests marked `lava` compare every spike, u and v with Lava itself.
"""
