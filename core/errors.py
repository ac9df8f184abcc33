"""Every error that spikeproof raises on purpose, with the exit code a command ends with.

Messages read `expected <what>, got <value>; <what to do>`.
"""


class SpikeproofError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 2


class ConfigError(SpikeproofError, ValueError):
    """An option or a configuration value is unknown, missing or out of range."""


class DataError(SpikeproofError, ValueError):
    """A data set or an array is missing, malformed, empty or of the wrong shape."""


class FormatError(SpikeproofError, ValueError):
    """A file is truncated, foreign or inconsistent."""


class RangeError(SpikeproofError, ValueError):
    """A number does not fit the register or field that has to hold it."""


class UnsupportedNodeError(SpikeproofError, ValueError):
    """A graph holds a node or an edge that cannot be kept exactly."""


class NotEqualError(SpikeproofError, ValueError):
    """Two computations that must be equal are not, so nothing was written."""

    exit_code = 1


class MisfitError(SpikeproofError, ValueError):
    """A network does not fit the chip that it has to fit."""

    exit_code = 1


class MissingAbilityError(SpikeproofError, RuntimeError):
    """An optional part (Lava, tonic, onnx, a GPU) is needed and absent."""


class OracleError(SpikeproofError, RuntimeError):
    """Lava failed, hung or died; a note carries the tail of what it printed."""
