"""The smallest network that has every kind of layer of its family."""

from spikeproof.train.network import NetworkConfig

TINY = NetworkConfig(
    architecture="digits-conv",
    input_shape=(1, 8, 8),
    classes=10,
    steps=4,
    widths=(4, 6),
    hidden=(12,),
    mean=(78,),
    std=(0.37,),
)
"""For digits, with 4 and 6 channels and four steps."""
