# SPDX-License-Identifier: GPL-2.0-only
"""Look at the machine: which of the needs are met, with which version."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import enum
import importlib.metadata
import os
import re
import shutil
import tempfile
from pathlib import Path

from harness import process
from harness.doctor import machine
from harness.doctor.needs import NEEDS, Header, Level, Library, Machine, Need, Packages, Program
from harness.errors import HostFault

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # a user's PATH often lacks them
PATIENCE = 30.0  # seconds a program may take to say its version


class State(enum.StrEnum):
    """How a need is met."""

    OK = "ok"
    OLD = "old"
    MISSING = "missing"


@dataclasses.dataclass(frozen=True)
class Check:
    """What was found for one need.

    ``found`` is the version, "yes" when there is none to read, or empty when missing; ``note`` is
    what a person should know of it.
    """

    what: str
    stage: str
    why: str
    level: Level
    state: State
    found: str
    minimum: str
    packages: Packages
    note: str = ""

    @property
    def bad(self) -> bool:
        """Whether the main job cannot work because of this."""
        return self.level is Level.REQUIRED and self.state is not State.OK


def examine(needs: tuple[Need, ...] = NEEDS) -> tuple[Check, ...]:
    """Check every need, in the table's order.  Looks only; nothing is changed."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(pool.map(check, needs))


def check(need: Need) -> Check:
    """Look for one thing."""
    match need.look:
        case Program():
            found, note = _program(need.look), ""
        case Header():
            found, note = _header(need.look), ""
        case Library():
            found, note = _library(need.look), ""
        case Machine():
            found, note = machine.LOOKS[need.look.name]()
    return Check(
        need.what,
        need.stage,
        need.why,
        need.level,
        judge(found, need.minimum),
        found,
        need.minimum,
        need.packages,
        note,
    )


def judge(found: str, minimum: str) -> State:
    """Compare a version with the least one; a version that cannot be read passes."""
    if not found:
        return State.MISSING
    have, least = numbers(found), numbers(minimum)
    return State.OLD if have and have < least else State.OK


def numbers(version: str) -> tuple[int, ...]:
    """Give the first dotted number of a text as a tuple that compares: "gcc 12.2" is (12, 2)."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def where(name: str) -> str | None:
    """Find a program along PATH and then in the sbin folders."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SBIN))


def _program(look: Program) -> str:
    path = where(look.name)
    if path is None:
        return ""
    if not look.version:
        return "yes"
    try:
        result = process.run([path, *look.version], timeout=PATIENCE, check=False)
    except HostFault:
        return ""
    if not result.ok and not result.stdout:
        return ""  # there, but it does not run: a broken installation is a missing one
    return version_in(result.stdout or result.stderr) or "yes"


def version_in(text: str) -> str:
    """Find the version in what a program prints for --version, preferring one with a dot."""
    line = next((line for line in text.splitlines() if re.search(r"\d", line)), "")
    # "gcc (Debian 12.2.0-14) 12.2.0" and "GNU ld (GNU Binutils for Debian) 2.40": what a
    # distribution says in brackets is not the version.
    bare = re.sub(r"\([^)]*\)", " ", line)
    match = re.search(r"\d+(?:\.\d+)+", bare) or re.search(r"\d+(?:\.\d+)*", bare)
    return match.group() if match else ""


def _header(look: Header) -> str:
    if where("gcc") is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        file = Path(folder, "main.c")
        file.write_text(f"#include <{look.name}>\nint main(void) {{ return 0; }}\n")
        words = ["gcc", "-o", str(file.with_suffix("")), str(file), *look.flags]
        try:
            return "yes" if process.run(words, timeout=PATIENCE, check=False).ok else ""
        except HostFault:
            return ""


def _library(look: Library) -> str:
    try:
        return importlib.metadata.version(look.name)
    except importlib.metadata.PackageNotFoundError:
        return ""
