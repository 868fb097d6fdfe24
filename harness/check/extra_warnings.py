# SPDX-License-Identifier: GPL-2.0-only
"""Compile what a patch changes with W=1, to find the warnings that it adds.

The kernels of a check are built without W=1, so they are the same as those of a run: W=1 changes
every command of make, and would compile the whole base again for warnings that no patch affects.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from harness import build, kbuild, kconfig, paths, process, serial, tree
from harness.build.output import WarningCollector
from harness.lab.kernels import Lab
from harness.lab.plan import make_jobs
from harness.model import Checkout, CompilerWarning, Kernel, Toolchain

# With W=1, kbuild would also check each file's kernel-doc in a separate Python process: a third of
# the build time.  The check ``kernel-doc`` does that for the touched files.
WARN = ("W=1", "cmd_checkdoc=")
_GENERATION = 1  # increment this when the same commits get other warnings

#: The warnings of each object.
WarningsByObject = Mapping[str, tuple[CompilerWarning, ...]]


@dataclasses.dataclass(frozen=True)
class ChangedWarnings:
    """The warnings of the objects that a commit affects, ``after`` it and ``before`` it.

    ``before`` has only the objects that were needed: those with a warning afterwards, of which
    nothing was known yet.
    """

    before: WarningsByObject
    after: WarningsByObject


def kept(previous: Checkout, kernel: Kernel, known: Collection[str]) -> ChangedWarnings | None:
    """Return what an earlier check found between a commit and a kept kernel; None if too little.

    The warnings that ``known`` objects had before do not matter.
    """
    try:
        found = serial.read(_file(previous, kernel), ChangedWarnings)
    except (OSError, serial.DamagedError):
        return None
    return found if _new(found.after, known) <= found.before.keys() else None


def find(
    lab: Lab,
    slot: tree.Slot,
    previous: Checkout,
    checkout: Checkout,
    kernel: Kernel,
    known: Collection[str],
) -> ChangedWarnings:
    """Compile the objects that the checkout affects, and keep the result with its ``kernel``.

    The build folder must hold the build of the checkout, whose files must be in the slot.
    """
    objects = build.affected(checkout, lab.folder(checkout), lab.toolchain, previous.tree)
    after, before = _compiled(lab, checkout, objects), {}
    if new := _new(after, known):
        with slot.reading():
            slot.check_out(previous)
            before = _compiled(lab, previous, sorted(new))
    found = ChangedWarnings(before, after)
    with paths.writing(kernel.folder):
        serial.write(_file(previous, kernel), found)
    return found


def _new(after: WarningsByObject, known: Collection[str]) -> set[str]:
    """Return the objects whose earlier warnings matter: they have some, and are not known."""
    return {name for name, warnings in after.items() if warnings and name not in known}


def _file(previous: Checkout, kernel: Kernel) -> Path:
    return kernel.folder / f"extra-warnings-{_GENERATION}-{previous.tree[:20]}.json"


def _compiled(
    lab: Lab, checkout: Checkout, objects: Sequence[str]
) -> dict[str, tuple[CompilerWarning, ...]]:
    """Compile these objects in a folder of their own; return the warnings of each."""
    if not objects:
        return {}
    compiler = dataclasses.replace(lab.toolchain, words=(*lab.toolchain.words, *WARN))
    request = lab.request_for(checkout)
    out = build.folder(checkout, lab.folder_request, compiler)
    with lab.progress.stage("W=1", f"{len(objects)} objects"):
        kconfig.attempt(checkout.path, out, request, compiler)
        collector = WarningCollector(out, checkout.path)
        jobs = make_jobs(lab.plan)
        for line in make_objects(checkout.path, out, compiler, objects, jobs):
            collector.line(line)
    # Nothing is kept that a later make might take for the object of another commit.
    _remove(out, objects)
    return {name: tuple(collector.by_object.get(name, ())) for name in objects}


def make_objects(
    source: Path, out: Path, compiler: Toolchain, objects: Sequence[str], jobs: int
) -> list[str]:
    """Compile objects in a configured folder, also those already compiled; return make's output.

    Warnings are no errors, whatever the config says, or only the first one would be found.
    """
    _remove(out, objects)  # a compiled object would not warn again
    argv = [*kbuild.command(source, out, compiler), "KCFLAGS=-Wno-error", "--keep-going"]
    argv += [f"-j{jobs}", "--output-sync=target", *objects]
    lines: list[str] = []
    process.follow(argv, lines.append, env={**kbuild.environment(), **build.ccache()})
    return lines


def _remove(out: Path, objects: Iterable[str]) -> None:
    for name in objects:
        with contextlib.suppress(OSError):
            (out / name).unlink()


def by_commit(changes: Sequence[ChangedWarnings | None]) -> list[set[CompilerWarning]]:
    """Return the known warnings at each commit, from the changes since its previous one.

    The first commit has no changes.  What an object's first change says of the time before it holds
    for all earlier commits, since nothing compiled it differently in between.
    """
    now: dict[str, tuple[CompilerWarning, ...]] = {}
    for change in reversed(changes):
        if change is not None:
            now |= {name: change.before.get(name, ()) for name in change.after}
    commits = []
    for change in changes:
        now |= change.after if change is not None else {}
        commits.append({warning for warnings in now.values() for warning in warnings})
    return commits
