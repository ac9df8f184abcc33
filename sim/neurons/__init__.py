"""Float neurons over time: one equation in `neuron`, computed fused, compiled or in Triton."""
