# SPDX-License-Identifier: GPL-2.0-only
"""Run gcov: from an object's counters to how often each line and function was executed."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import process
from harness.model import Toolchain

_BATCH = 64  # counters for one process: its start takes as long as a small object
_TIME_LIMIT = 300.0  # seconds for one process, which takes a few
_REFUSED = re.compile(r"^(\d+)/[^:]*:", re.MULTILINE)  # what gcov says about one file


@dataclasses.dataclass(frozen=True)
class Counts:
    """How often one object's code was executed, by file.

    Files have the names that the compiler was given.  ``functions`` have (name, first line, last
    line); ``branches`` have the ways out of each line with several.
    """

    lines: Mapping[str, Mapping[int, int]]
    functions: Mapping[str, Mapping[tuple[str, int, int], int]]
    branches: Mapping[str, Mapping[int, tuple[int, ...]]]


def program(toolchain: Toolchain) -> str:
    """Return the name of the gcov of this compiler, whose formats change with its versions."""
    return toolchain.cross + toolchain.compiler.replace("gcc", "gcov")


def counts(
    gcov: str, counters: Sequence[tuple[Path, bytes]], *, branches: bool = False
) -> Iterator[Counts | None]:
    """Yield the counts of each object, given its notes (.gcno) and the content of its .gcda file.

    None if gcov cannot read that content with these notes.  Raises HostFault if there is no gcov.
    """
    batches = [counters[at : at + _BATCH] for at in range(0, len(counters), _BATCH)]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        run = pool.map(lambda batch: _batch(gcov, batch, branches=branches), batches)
        yield from itertools.chain.from_iterable(run)


def _batch(
    gcov: str, counters: Sequence[tuple[Path, bytes]], *, branches: bool
) -> list[Counts | None]:
    argv = [gcov, "--json-format", "--stdout", *(["--branch-probabilities"] if branches else [])]
    with tempfile.TemporaryDirectory() as scratch:
        for number, (notes, content) in enumerate(counters):
            folder = Path(scratch, str(number))
            folder.mkdir()
            (folder / notes.name).symlink_to(notes)
            file = folder / notes.with_suffix(".gcda").name
            file.write_bytes(content)
            argv.append(f"{number}/{file.name}")
        done = process.run(argv, cwd=Path(scratch), timeout=_TIME_LIMIT, check=False)
    refused = {int(number) for number in _REFUSED.findall(done.stderr)}
    found: list[Counts | None] = [None] * len(counters)
    for line in done.stdout.splitlines():
        table = json.loads(line)
        number = int(str(table["data_file"]).partition("/")[0])
        if number not in refused:
            found[number] = _counts(table)
    return found


def _counts(table: Mapping[str, Any]) -> Counts:
    lines: dict[str, dict[int, int]] = {}
    functions: dict[str, dict[tuple[str, int, int], int]] = {}
    branches: dict[str, dict[int, tuple[int, ...]]] = {}
    for file in table["files"]:
        own = lines.setdefault(file["file"], {})
        ways = branches.setdefault(file["file"], {})
        for line in file["lines"]:
            number = line["line_number"]
            own[number] = own.get(number, 0) + line["count"]
            if line["branches"]:
                ways[number] = tuple(way["count"] for way in line["branches"])
        functions[file["file"]] = {
            (each["name"], each["start_line"], each["end_line"]): each["execution_count"]
            for each in file["functions"]
        }
    return Counts(lines, functions, branches)
