# SPDX-License-Identifier: GPL-2.0-only
"""``harness check`` with the kernel's own scripts: no kernel is built here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from conftest import TOP, Job, harness

QUICK = ("check", "--json", "--only", "mail,scripts")


def findings(job: Job, check: str) -> list[dict[str, Any]]:
    return [f for one in job[1]["cells"] if one["check"] == check for f in one["findings"]]


def states(job: Job, check: str) -> set[str]:
    return {one["state"] for one in job[1]["cells"] if one["check"] == check}


def test_our_own_series_has_nothing_to_correct(tmp_path: Path) -> None:
    job = harness(*QUICK, "patches/configfs-ns", "--out", str(tmp_path / "run"))
    assert job[0] == 0, job[2]
    for check in ("form", "signed", "checkpatch", "kernel-doc", "spdx", "fixes"):
        assert findings(job, check) == [], check
        assert states(job, check) == {"good"}, check
    assert [one["rule"] for one in findings(job, "exports")] == ["new"] * 4


def test_the_scripts_see_what_is_wrong(tmp_path: Path) -> None:
    series = tmp_path / "bad"
    series.mkdir()
    for name in ("0000", "0001"):
        (file,) = (TOP / "patches" / "configfs-ns").glob(f"{name}-*.patch")
        shutil.copy(file, series / file.name)
    (mail,) = series.glob("0001-*")
    text = re.sub(r"/\d+\]", "/1]", mail.read_text(), count=1)
    head, body = text.split("\ndiff --git ", 1)
    head = "\n".join(line for line in head.splitlines() if not line.startswith("Signed-off-by"))
    # The first line that is added and not empty; its hunk keeps its length.
    lines = body.splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith("+\t"))
    lines[place] = lines[place].rstrip("\n") + " /* teh end */  \n"
    head = head.replace("Subject: ", "To: someone@example.com\nSubject: ", 1)
    mail.write_text(head + "\ndiff --git " + "".join(lines))
    cover = next(series.glob("0000-*"))
    cover.write_text(re.sub(r"/\d+\]", "/1]", cover.read_text(), count=1))
    job = harness(*QUICK, "--kernel", "7.2", str(series), "--out", str(tmp_path / "run"))
    assert job[0] == 1, job[2]
    assert [one["rule"] for one in findings(job, "signed")] == ["missing"]
    rules = {one["rule"] for one in findings(job, "checkpatch")}
    assert {"TRAILING_WHITESPACE", "TYPO_SPELLING", "MISSING_SIGN_OFF"} <= rules
    assert any("a.hindborg@kernel.org" in one["text"] for one in findings(job, "maintainers"))
