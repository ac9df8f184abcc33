"""An audit sealed into its bundle; the audit is one of toys that names the bundle."""

import shutil

import pytest

from spikeproof.audit.report.render import render
from spikeproof.audit.sealed import seal_audit
from spikeproof.core.errors import FormatError, NotEqualError
from spikeproof.core.files import sha256, write_json
from spikeproof.deploy.bundle import SUMS, check_sums, identity, read_bundle
from spikeproof.deploy.verification import verify_bundle
from spikeproof.tests.deploy.networks import deploy_lattice


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return deploy_lattice(tmp_path_factory.mktemp("made"), samples=1)


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made, tmp_path / "bundle")


@pytest.fixture
def audit(finished, made, tmp_path):
    """Writes an audit that names a bundle, by default the one that was made."""

    def write(name="audit.json", sha=None):
        context = finished["context"] | {"bundle_sha256": sha or sha256(made / SUMS)}
        write_json(tmp_path / name, finished | {"context": context})
        return tmp_path / name

    return write


@pytest.mark.lava
def test_the_audit_and_its_page_are_sealed_with_the_rest(bundle, audit):
    files = check_sums(bundle)
    found = seal_audit(bundle, audit())
    assert check_sums(bundle) == files + 2
    assert (bundle / "audit.json").read_bytes() == audit().read_bytes()
    assert (bundle / "report.html").read_text(encoding="utf-8") == render(found)
    details = {check.name: check.detail for check in verify_bundle(bundle)}
    assert details["audit"] == "audit.json is of this bundle"


def test_a_sealed_bundle_is_the_same_to_audits(bundle, made, audit):
    seal_audit(bundle, audit())
    once = sha256(bundle / SUMS)
    assert identity(bundle) == identity(made) == sha256(made / SUMS) != once
    seal_audit(bundle, audit())
    assert sha256(bundle / SUMS) == once


@pytest.mark.parametrize("name", ["audit.json", "report.html"])
def test_a_byte_of_the_evidence_that_changed_is_named(bundle, audit, name):
    seal_audit(bundle, audit())
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(NotEqualError, match=f"expected {name} in .* as it was sealed"):
        read_bundle(bundle)


def test_an_audit_of_another_bundle_is_refused_and_nothing_changes(bundle, audit):
    before = sha256(bundle / SUMS)
    with pytest.raises(NotEqualError, match="got one of abababababab; audit this bundle"):
        seal_audit(bundle, audit("other.json", sha="ab" * 32))
    assert not (bundle / "audit.json").exists()
    assert (check_sums(bundle), sha256(bundle / SUMS)) == (9, before)


def test_what_is_no_audit_or_no_bundle_is_refused(bundle, audit, tmp_path):
    with pytest.raises(FormatError):
        seal_audit(bundle, bundle / "manifest.json")
    with pytest.raises(FormatError, match="expected a bundle at"):
        seal_audit(tmp_path, audit())
