# SPDX-License-Identifier: GPL-2.0-only
"""The choice of `tox -e quick`: which test files concern a change."""

from __future__ import annotations

from pathlib import Path

import changed
import pytest

INTEGRATION = Path(__file__).parents[1] / "integration"


@pytest.mark.parametrize(
    ("path", "kept", "left_out"),
    [
        ("harness/check/scripts.py", "test_check.py", "test_decode.py"),
        ("harness/decode/decoder.py", "test_decode.py", "test_tree.py"),
        ("tests/integration/fakeproject.py", "test_run.py", "test_tree.py"),
        ("tests/integration/test_tree.py", "test_tree.py", "test_sources.py"),
        ("harness/process.py", "test_process.py", "test_report_browser.py"),
    ],
)
def test_a_change_selects_its_tests(path: str, kept: str, left_out: str) -> None:
    assert changed.concerns(INTEGRATION / kept, {path})
    assert not changed.concerns(INTEGRATION / left_out, {path})


def test_a_document_selects_nothing() -> None:
    files = INTEGRATION.glob("test_*.py")
    assert not any(changed.concerns(file, {"docs/verdict.md", "CHANGELOG.md"}) for file in files)
