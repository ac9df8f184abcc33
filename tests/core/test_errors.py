import inspect

import pytest

from spikeproof.core import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
USER_FACING = [
    errors.ConfigError,
    errors.DataError,
    errors.FormatError,
    errors.NotEqualError,
    errors.RangeError,
    errors.UnsupportedNodeError,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_the_common_base(kind):
    assert issubclass(kind, errors.SpikeproofError)


@pytest.mark.parametrize("kind", USER_FACING)
def test_errors_about_input_are_value_errors(kind):
    assert issubclass(kind, ValueError)


FAILED_CHECKS = (errors.NotEqualError, errors.MisfitError)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_failed_check_exits_with_1(kind):
    assert kind.exit_code == (1 if kind in FAILED_CHECKS else 2)
