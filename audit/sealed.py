"""An audit as a part of the bundle that it is about."""

from pathlib import Path
from typing import Any

from ..core.files import read_json
from ..deploy.bundle import AUDIT, REPORT, add_evidence
from .report.render import render
from .schema import check


def seal_audit(bundle: Path, audit_file: Path) -> dict[str, Any]:
    """Puts an audit, byte by byte, and its page into a bundle and seals it anew; returns the audit.

    One that is there already gives way. The same bundle and audit give the same bytes.

    Raises:
        FormatError: If the bundle or the audit is none.
        NotEqualError: If the bundle was changed, or the audit is of another one.
    """
    audit = check(read_json(audit_file))
    page = render(audit).encode("utf-8")
    add_evidence(bundle, {AUDIT: audit_file.read_bytes(), REPORT: page})
    return audit
