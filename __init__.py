"""spikeproof: does a spiking network's adversarial robustness survive deployment?"""

__version__ = "0.1.0"
