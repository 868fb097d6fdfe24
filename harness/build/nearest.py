# SPDX-License-Identifier: GPL-2.0-only
"""Begin the build folder of a new config as a copy of the nearest one.

kbuild knows which object depends on which option: the objects' .cmd files name a stamp for each,
include/config/NAME.  make touches the stamps of the options that differ from the copied
auto.conf, and compiles what names them, what gets another command, and what is new.

Files are copied (shared where the file system can), never linked: objtool writes into objects.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from harness import paths, process, serial
from harness.build import make_records, output, skip
from harness.build.kernel_store import FOLDER_RECORD, FolderRecord
from harness.build.skip import Skipped
from harness.model import Checkout, Toolchain

_AUTO_CONF = "include/config/auto.conf"
_OPTION = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)
_STAMP = re.compile(rb"\$\(wildcard include/config/(\w+)\)")
_COMPILER = "CC_VERSION_TEXT"
#: Of the folder's own files, those that a copy must have.
_OWN, _SHARED_OWN = ".harness-", (".harness-built",)
# Made again from the objects in any case, and large.
_LINKED = ("vmlinux", ".tmp_vmlinux")
_MOST = 0.9  # of the objects: if more must be compiled, a copy is not worth its space
_MANY = 0.2  # of the objects: to compile so many again, there and back, costs more than a copy


@dataclasses.dataclass(frozen=True)
class NearestFolder:
    """A build folder of the same worktree, and how many of its ``total`` objects are of no use."""

    path: Path
    differing: int
    total: int


def begin(checkout: Checkout, out: Path, toolchain: Toolchain) -> tuple[int | None, Skipped | None]:
    """Fill the configured folder ``out`` from the nearest one, unless something was built in it.

    Returns how many of its objects must be compiled again, None if there was none, and what need
    not be compiled again for changes of headers since its last build.  The caller holds the lock of
    the worktree, which is also that of all its build folders.
    """
    if (out / make_records.LOG).exists():
        return None, None
    found = nearest(out)
    if found is None:
        return None, None
    with paths.scratch(out) as scratch:
        draft = scratch / "copy"
        _copy(found.path, draft)
        _name_again(draft, found.path, out)
        for file in (out / ".config", *out.glob(f"{_OWN}*")):
            shutil.copy2(file, draft / file.name)
        skipped = skip.before_make(checkout, draft, toolchain, {})
        out.rename(scratch / "before")
        draft.rename(out)
    return found.differing, skipped


def nearest(out: Path) -> NearestFolder | None:
    """Return the folder in which the fewest objects name an option that differs."""
    record = _record(out)
    wanted = _options((out / ".config").read_text())
    named: tuple[frozenset[str], ...] = ()
    found: list[NearestFolder] = []
    for folder in sorted(out.parent.iterdir(), key=_last_used, reverse=True):
        with contextlib.suppress(OSError, serial.DamagedError):
            if _record(folder) != record:
                continue
            if not (folder / "vmlinux").exists() or make_records.is_running(folder):
                continue
            options = _options((folder / _AUTO_CONF).read_text())
            if options.get(_COMPILER) != wanted.get(_COMPILER):
                continue
            named = named or _named_options(folder)  # other folders' objects name the same
            differing = _differing(options, wanted)
            count = sum(not differing.isdisjoint(names) for names in named)
            found.append(NearestFolder(folder, count, len(named)))
    best = min(found, key=lambda folder: folder.differing, default=None)
    return best if best and best.differing <= _MOST * best.total else None


def pervasive(out: Path, names: Collection[str]) -> tuple[str, ...]:
    """Return those of the options that many of the objects compiled in ``out`` depend on."""
    objects = _named_options(out) if names else ()
    uses = Counter(name for named in objects for name in named)
    return tuple(name for name in names if uses[name] > _MANY * len(objects))


def _record(folder: Path) -> FolderRecord:
    return serial.read(folder / FOLDER_RECORD, FolderRecord)


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # removed by another process
        return 0.0


def _options(config: str) -> Mapping[str, str]:
    """Return the options that are on; newer kernels write strings into auto.conf without quotes."""
    return {name: value.strip('"') for name, value in _OPTION.findall(config)}


def _differing(options: Mapping[str, str], others: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name, _ in options.items() ^ others.items())


def _named_options(folder: Path) -> tuple[frozenset[str], ...]:
    """Return the options that each object of a folder depends on."""
    return tuple(
        frozenset(name.decode() for name in _STAMP.findall(record.read_bytes()))
        for record in folder.rglob(".*.o.cmd")
    )


def _copy(folder: Path, draft: Path) -> None:
    """Copy a build folder, without what is linked or is the folder's own, and keep the times."""
    names = [
        path.name
        for path in folder.iterdir()
        if not path.name.startswith((*_LINKED, _OWN, ".config")) or path.name in _SHARED_OWN
    ]
    # Thin archives only have names; this one is needed to know what was linked.
    names += ["vmlinux.a"] if (folder / "vmlinux.a").exists() else []
    draft.mkdir()
    process.run(["cp", "-a", "--reflink=auto", "-t", draft, "--", *names], cwd=folder)
    # Only a compiler repeats its warnings.
    for name in output.WarningCollector(folder, folder).by_object:
        if name.endswith(".o"):
            (draft / name).unlink(missing_ok=True)
    # Counters (gcov) have the name of the folder in which they were compiled.
    for notes in draft.rglob("*.gcno"):
        notes.with_suffix(".o").unlink(missing_ok=True)


def _name_again(draft: Path, before: Path, out: Path) -> None:
    """Replace the folder's path in make's records: objtool's build uses absolute paths."""
    old, new = os.fsencode(before), os.fsencode(out)
    for record in draft.rglob(".*.cmd"):
        text = record.read_bytes()
        if old in text:
            times = record.stat()
            record.write_bytes(text.replace(old, new))
            os.utime(record, ns=(times.st_atime_ns, times.st_mtime_ns))
