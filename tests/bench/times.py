# SPDX-License-Identifier: GPL-2.0-only
"""Print what the tests took, as tables for docs/measurements.md.

``times.py RESULT.JSON JUNIT.XML...``: what ``tox --result-json`` wrote, and the reports of its
environments, named after them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from junitparser import JUnitXml

from harness.progress import clock

SLOWEST = 20


def main(result: Path, reports: list[Path]) -> None:
    """Print one table by environment and one of the slowest tests."""
    tests = {
        report.stem: [case for suite in JUnitXml.fromfile(str(report)) for case in suite]
        for report in reports
        if report.exists()
    }
    print("| environment | tests | time |", "|---|---|---|", sep="\n")
    for name, env in json.loads(result.read_text())["testenvs"].items():
        if "result" in env:
            number = len(tests.get(name, ())) or ""
            print(f"| {name} | {number} | {clock(env['result']['duration'])} |")
    print("\n| slowest tests | seconds |", "|---|---|", sep="\n")
    every = [case for cases in tests.values() for case in cases]
    for case in sorted(every, key=lambda case: -case.time)[:SLOWEST]:
        place = case.classname.removeprefix("tests.").replace(".", "/")
        print(f"| `{place}::{case.name}` | {case.time:.0f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
