import pytest

from spikeproof.core.choice import chosen
from spikeproof.core.errors import ConfigError

TABLE = {"one": 1, "two": 2}


def test_choice_is_the_entry_of_that_name():
    assert chosen(TABLE, "two", what="a number") == 2


def test_choice_of_what_is_absent_names_all_there_are():
    with pytest.raises(ConfigError, match="^expected a number among one, two, got 'three'; choose"):
        chosen(TABLE, "three", what="a number")


def test_choice_gives_the_callers_advice():
    with pytest.raises(ConfigError, match="; count further$"):
        chosen(TABLE, "three", what="a number", advice="count further")
