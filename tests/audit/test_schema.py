import copy
import json
from pathlib import Path

import jsonschema
import pytest

from spikeproof.audit.schema import SCHEMA, check
from spikeproof.core.errors import FormatError

PUBLISHED = Path(__file__).parents[2] / "docs" / "audit.schema.json"


def damaged(audit, *path, value=None, drop=False):
    audit = copy.deepcopy(audit)
    *parents, last = path
    place = audit
    for key in parents:
        place = place[key]
    if drop:
        del place[last]
    else:
        place[last] = value
    return audit


def test_published_schema_is_the_enforced_one():
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == SCHEMA


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_audit_has_the_form_of_the_schema(finished):
    jsonschema.validate(finished, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_audit_of_the_paper_suite_has_the_form_of_the_schema(audited, float_toy, chip_toy):
    options = {"suite": "paper", "samples": 4, "estimators": ("exact",), "continuous": True}
    audit = audited(float_toy, chip_toy, **options).audit
    jsonschema.validate(audit, SCHEMA, cls=jsonschema.Draft202012Validator)


DAMAGES = [
    (("robust", "float_on_hardware"), {"drop": True}, r"'float_on_hardware' at audit\.robust"),
    (("n",), {"value": 0}, r"at audit\.n, got 0"),
    (("n",), {"value": True}, r"expected integer at audit\.n, got True"),
    (("format",), {"value": "other 2"}, r"'spikeproof audit 2' at audit\.format, got 'other 2'"),
    (("extra",), {"value": 1}, r"only the keys .* at audit, got 'extra'"),
    (("clean", "float", "low"), {"value": 1.5}, r"at audit\.clean\.float\.low, got 1\.5"),
    (("curve",), {"value": []}, r"expected at least 1 entries at audit\.curve, got \[\]"),
    (("curve", 0, "float"), {"value": None}, r"expected object at audit\.curve\[0\]\.float"),
    (("alarms", 1, "name"), {"value": "fire"}, r"at audit\.alarms\[1\]\.name, got 'fire'"),
    (("versions", "torch"), {"value": 2}, r"expected string at audit\.versions\.torch, got 2"),
    (("matches",), {"value": "silicon"}, "Lava fixed-point model"),
]


@pytest.mark.parametrize(("path", "damage", "message"), DAMAGES)
def test_damaged_audit_is_refused(finished, path, damage, message):
    with pytest.raises(FormatError, match=message):
        check(damaged(finished, *path, **damage))


@pytest.mark.parametrize(("path", "damage", "message"), DAMAGES)
def test_checker_refuses_what_the_schema_refuses(finished, path, damage, message):
    del message
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(damaged(finished, *path, **damage), SCHEMA)


@pytest.mark.parametrize("foreign", [None, [], 3, "audit", {}])
def test_foreign_json_is_refused(foreign):
    with pytest.raises(FormatError, match="pass an audit.json of this version"):
        check(foreign)
