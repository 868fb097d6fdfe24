# SPDX-License-Identifier: GPL-2.0-only
"""Forms of the main job's run that the kernel's own tools read, or help to write."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from io import BytesIO
from pathlib import Path
from typing import Any

from conftest import TOP, Job

KUNIT = "tools/testing/kunit"


def report(run: dict[str, Any], *words: str) -> None:
    argv = [sys.executable, "-m", "harness", "report", run["folder"], *words]
    subprocess.run(argv, cwd=TOP, check=True)


def test_the_kernels_own_parser_reads_our_ktap(main_job: Job, tmp_path: Path) -> None:
    run = main_job[1]
    source = run["source"]
    git = ["git", "-C", source["repo"], "archive", source["commit"], KUNIT]
    data = subprocess.run(git, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        archive.extractall(tmp_path, filter="data")
    report(run, "--ktap", str(tmp_path / "run.ktap"))
    done = subprocess.run(
        [sys.executable, f"{KUNIT}/kunit.py", "parse", str(tmp_path / "run.ktap")],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    said = re.search(r"Testing complete\. Ran (\d+) tests: (.*)", done.stdout)
    assert said, done.stdout + done.stderr
    outcomes = [test["outcome"] for test in run["sides"][-1]["tests"]]
    assert int(said[1]) == len(outcomes)
    numbers = {word: int(number) for word, number in re.findall(r"(\w+): (\d+)", said[2])}
    assert numbers.get("passed", 0) == outcomes.count("pass") + outcomes.count("xfail")
    assert numbers.get("skipped", 0) == outcomes.count("skip")
    assert "[ERROR]" not in done.stdout, "the format itself is wrong somewhere"


def test_the_trees_own_script_says_who_is_to_be_told(main_job: Job, tmp_path: Path) -> None:
    report(main_job[1], "--mail", str(tmp_path / "reply.eml"))
    found: EmailMessage = BytesParser(policy=default).parsebytes(
        (tmp_path / "reply.eml").read_bytes()
    )
    told = {one.addr_spec for name in ("To", "Cc") for one in found[name].addresses}
    assert {"linux-nvme@lists.infradead.org", "linux-fsdevel@vger.kernel.org"} <= told
    assert found["Subject"] == "Re: [PATCH 00/10] namespace-aware configfs"
