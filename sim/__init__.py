"""How spikes are computed: float neurons, integers, the twin, Lava as an oracle."""
