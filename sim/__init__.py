"""How spikes are computed: integers as on the chip, floats as in training, Lava as an oracle.

What runs on the chip lies here; what it is read from, compared with and differentiated by lies in
packages of its own. In reading order:

1. `program`: a graph of populations and synapses; `interface` says how images enter it and logits
   leave; `clock` says when a spike arrives and when a reset clears.
2. `fixed_point`: how registers decay, wrap and clip, on a page; `integer_neuron` adds spike and
   resets and runs it over time, in floats where they are proven exact; `kernel` sums what arrives,
   exactly, for the reasons given in `exact_sums`, and overflows as Lava does (`wrapping`).
3. `twin`: runs a program, batched; `components` orders it, `recurrence` steps through its loops.
4. `integer_gradient`: how the twin is differentiated, by one of the estimators in `gradients`,
   which the float neurons of training, in `neurons`, take too.
5. `netx`: a `.net` file as a program, layer by layer, with what Lava makes of every number.
6. `oracle`: Lava itself, in processes of its own; `parity` compares the twin with it, value by
   value.
7. `graph`: a NIR file in floats, a step at a time where it has to be, loops too.

Trust rests on the tests: `tests/reference.py` is a slow loop written from the rules alone, and the
tests marked `lava` compare every spike, u and v with Lava itself.
"""
