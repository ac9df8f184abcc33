"""What a data SPEC may say."""

from pathlib import Path

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.datasets.spec import EVENT_KINDS, IMAGE_KINDS, DataSpec, parse_spec


def test_parse_spec_splits_at_the_first_colon():
    assert parse_spec("npz:a:b.npz") == DataSpec(kind="npz", path=Path("a:b.npz"))


def test_parse_spec_takes_digits_alone():
    assert parse_spec("digits") == DataSpec(kind="digits")


def test_parse_spec_expands_the_home_folder():
    assert parse_spec("mnist:~/mnist").path == Path.home() / "mnist"


@pytest.mark.parametrize("text", ["", "imagenet:x", "CIFAR10:x", "digit", ":x"])
def test_parse_spec_names_the_known_kinds_for_an_unknown_one(text):
    with pytest.raises(ConfigError, match="expected a data set among digits, npz:FILE, cifar10:"):
        parse_spec(text)


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_parse_spec_takes_recordings(kind):
    assert parse_spec(f"{kind}:some/where") == DataSpec(kind=kind, path=Path("some/where"))


@pytest.mark.parametrize("kind", [kind for kind, argument in IMAGE_KINDS.items() if argument])
@pytest.mark.parametrize("ending", ["", ":"])
def test_parse_spec_asks_for_a_missing_path(kind, ending):
    with pytest.raises(ConfigError, match=f"expected {kind}:(FILE|DIR), got '{kind}{ending}'"):
        parse_spec(kind + ending)


def test_parse_spec_refuses_an_argument_for_digits():
    with pytest.raises(ConfigError, match="expected 'digits' without an argument"):
        parse_spec("digits:8x8")
