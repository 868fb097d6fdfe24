# SPDX-License-Identifier: GPL-2.0-only
"""GitLab's code quality report: marks at lines of a merge request's diff."""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.publish.marks import Mark, Weight
from harness.text import one_line

_SEVERITY = {Weight.ERROR: "critical", Weight.WARNING: "minor", Weight.NOTICE: "info"}


def quality(marks: Sequence[Mark]) -> str:
    """Write the report.  Marks without a file are not for it: the JUnit report has them."""
    found = {mark.fingerprint: mark for mark in reversed(marks) if mark.file}
    return json.dumps([_issue(key, mark) for key, mark in reversed(found.items())], indent=1)


def _issue(fingerprint: str, mark: Mark) -> dict[str, object]:
    return {
        "description": one_line(f"{mark.title}: {mark.text}" if mark.text else mark.title, 1000),
        "check_name": one_line(mark.rule),
        "fingerprint": fingerprint,
        "severity": _SEVERITY[mark.weight],
        "location": {"path": mark.file, "lines": {"begin": max(1, mark.line)}},
    }
