# SPDX-License-Identifier: GPL-2.0-only
"""Examine the machine: which needs are met, and by which version."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import enum
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import paths, process
from harness.doctor.needs import (
    NEEDS,
    CHeader,
    Library,
    MachineProperty,
    Need,
    NeedLevel,
    Packages,
    Program,
)
from harness.errors import HostFault

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # often missing from a user's PATH
PATIENCE = 30.0  # seconds to wait for a program to print its version
KVM = "/dev/kvm"


class NeedState(enum.StrEnum):
    OK = "ok"
    OLD = "old"
    MISSING = "missing"


@dataclasses.dataclass(frozen=True)
class NeedCheck:
    """The result of checking one need.

    ``found`` is the version, "yes" if no version can be read, or empty if missing; ``note`` is an
    explanation for the user.
    """

    what: str
    stage: str
    why: str
    level: NeedLevel
    state: NeedState
    found: str
    minimum: str
    packages: Packages
    note: str = ""

    @property
    def bad(self) -> bool:
        """Whether `harness run` cannot work because of this."""
        return self.level is NeedLevel.REQUIRED and self.state is not NeedState.OK


def examine(needs: tuple[Need, ...] = NEEDS) -> tuple[NeedCheck, ...]:
    """Check every need, in table order.  Changes nothing."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(pool.map(check, needs))


def check(need: Need) -> NeedCheck:
    note = ""
    match need.look:
        case Program():
            version = _program_version(need.look)
        case CHeader():
            version = "yes" if _compiles(need.look) else ""
        case Library():
            version = _library_version(need.look)
        case MachineProperty():
            version, note = PROPERTIES[need.look.name]()
    state = judge(version, need.minimum)
    return NeedCheck(
        need.what,
        need.stage,
        need.why,
        need.level,
        state,
        version,
        need.minimum,
        need.packages,
        note,
    )


def judge(version: str, minimum: str) -> NeedState:
    """Compare a version with the minimum; a version without a number passes."""
    if not version:
        return NeedState.MISSING
    have, least = _numbers(version), _numbers(minimum)
    return NeedState.OLD if have and have < least else NeedState.OK


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first dotted number in a text as a comparable tuple: "gcc 12.2" is (12, 2)."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SBIN))


def _program_version(look: Program) -> str:
    path = _which(look.name)
    if path is None:
        return ""
    if not look.version:
        return "yes"
    try:
        result = process.run([path, *look.version], timeout=PATIENCE, check=False)
    except HostFault:
        return ""
    if not result.ok and not result.stdout:
        return ""  # present but not runnable: a broken installation counts as missing
    return version_in(result.stdout or result.stderr) or "yes"


def version_in(text: str) -> str:
    """Return the version from a program's --version output, preferably a number with a dot."""
    line = next((line for line in text.splitlines() if re.search(r"\d", line)), "")
    # "gcc (Debian 12.2.0-14) 12.2.0" and "GNU ld (GNU Binutils for Debian) 2.40": the
    # distribution's addition in parentheses is not the version.
    bare = re.sub(r"\([^)]*\)", " ", line)
    match = re.search(r"\d+(?:\.\d+)+", bare) or re.search(r"\d+(?:\.\d+)*", bare)
    return match.group() if match else ""


def _compiles(look: CHeader) -> bool:
    """Compile and link a program that includes the header, as the kernel's build will."""
    if _which("gcc") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        file = Path(folder, "main.c")
        file.write_text(f"#include <{look.name}>\nint main(void) {{ return 0; }}\n")
        argv = ["gcc", "-o", str(file.with_suffix("")), str(file), *look.flags]
        try:
            return process.run(argv, timeout=PATIENCE, check=False).ok
        except HostFault:
            return False


def _library_version(look: Library) -> str:
    try:
        return importlib.metadata.version(look.name)
    except importlib.metadata.PackageNotFoundError:
        return ""


# Properties of the machine.  Each function returns (what was found, a note).


def _python() -> tuple[str, str]:
    return platform.python_version(), sys.executable


def _disk() -> tuple[str, str]:
    """Return the free space on the file system of the cache."""
    try:
        folder = paths.cache()
        free = shutil.disk_usage(folder).free
    except (HostFault, OSError) as error:
        return "", str(error)
    return f"{free / 1e9:.0f} GB", f"in {folder}"


def _memory() -> tuple[str, str]:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 1e9:.1f} GB", ""


def _kvm() -> tuple[str, str]:
    """Check whether KVM can be opened.  Only running a guest proves that it works."""
    if os.access(KVM, os.R_OK | os.W_OK):
        return "device", "the first run probes whether it works"
    if Path(KVM).exists():
        return "", "no permission: join the group kvm; until then guests are emulated (slow)"
    return "", "guests are emulated (slow)"


def _locale() -> tuple[str, str]:
    """Check for C.UTF-8, the locale in which the harness starts every program."""
    try:
        names = process.run(["locale", "-a"], timeout=30, check=False).stdout.lower().split()
    except HostFault:
        return "", "no `locale` program"
    return ("yes", "") if {"c.utf8", "c.utf-8"} & set(names) else ("", "C.UTF-8 is missing")


PROPERTIES: dict[str, Callable[[], tuple[str, str]]] = {
    "python": _python,
    "disk": _disk,
    "memory": _memory,
    "kvm": _kvm,
    "locale": _locale,
}
