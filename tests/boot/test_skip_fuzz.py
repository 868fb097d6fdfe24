# SPDX-License-Identifier: GPL-2.0-only
"""Random changes of headers that are said to concern nobody change no object.

Real objects of the kernel that the main job built are compiled, by make's own commands, from a copy
of all they were made from; then again with headers that gained and lost declarations as
``names.changed`` lets them.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import Job

from harness import build, kconfig, tree
from harness.build import make_records
from harness.build.skip import names as header_names
from harness.model import Source
from harness.progress import Progress

UNITS = 10
PIECES = (
    "int zz_fz_{0}(int xq_a, const char *xq_b);\n",
    "#define ZZ_FZ_{0}(a, b) ((a) + (b))\n",
    "struct zz_fz_{0};\n",
    "/* a comment\n * of lines */\n",
    "extern void zz_fz_{0}(void);\n\n\n",
    "struct zz_fz_{0};\nstruct zz_fz_{0} *zz_gz_{0}(struct zz_fz_{0} *xq_p, unsigned long);\n",
    "#define ZZ_FZ_{0} 3\n",
    "\n",
)
STARTS = re.compile(r"(?:extern |int |void |struct \w+;|#define |bool |unsigned )")
SEED = random.randrange(2**32)


class Copy:
    """The sources of one object in a folder of their own, and how it is compiled there."""

    def __init__(self, place: Path, worktree: Path, out: Path, command: str) -> None:
        self.place, self._worktree, self._out = place, str(worktree), out
        command = command.replace(self._worktree, str(place / "linux"))
        command = re.sub(r"-Wp,-MMD,\S+", f"-Wp,-MMD,{place}/d", command)
        self._command = re.sub(r" -o \S+", f" -o {place}/o.o", command)

    def file(self, path: str) -> Path:
        return self.place / "linux" / os.path.normpath(os.path.relpath(path, self._worktree))

    def take(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.file(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.file(path))

    def compiled(self) -> bytes:
        env = {**os.environ, "CCACHE_DISABLE": "1"}
        subprocess.run(self._command, shell=True, cwd=self._out, env=env, check=True)
        strip = ["objcopy", "--strip-debug", f"{self.place}/o.o", f"{self.place}/s.o"]
        subprocess.run(strip, check=True)
        return (self.place / "s.o").read_bytes()


def gained(text: str, rand: random.Random) -> str:
    """Put declarations of all kinds anywhere that ``names.changed`` allows."""
    now = text
    for _ in range(6):
        lines = now.split("\n")
        at = rand.randrange(len(lines) + 1)
        piece = rand.choice(PIECES).format(rand.randrange(10**9))
        new = "\n".join(lines[:at]) + "\n" + piece + "\n".join(lines[at:])
        if header_names.changed(text, new):
            now = new
    return now


def lost(text: str, others: Sequence[bytes], rand: random.Random) -> str:
    """Remove a declaration whose name none of the other files mentions."""
    lines = text.split("\n")
    places = [number for number, line in enumerate(lines) if STARTS.match(line)]
    for at in rand.sample(places, min(12, len(places))):
        new = "\n".join(lines[:at] + lines[at + 1 :])
        found = header_names.changed(text, new)
        if found and found.names:
            mentions = found.finder()
            if not any(map(mentions, others)):
                return new
    return text


def changed(copy: Copy, paths: Sequence[str], rand: random.Random) -> int:
    """Change headers; return how many."""
    texts = {path: Path(path).read_bytes() for path in paths}
    count = 0
    for path in paths:
        if path.endswith(".h"):
            before = copy.file(path).read_text(errors="surrogateescape")
            others = [text for other, text in texts.items() if other != path]
            after = lost(gained(before, rand), others, rand)
            copy.file(path).write_text(after, errors="surrogateescape")
            count += after != before
    return count


@pytest.fixture
def built(main_job: Job) -> Iterator[tuple[Path, Path]]:
    """The worktree, held, and the build folder of a kernel."""
    given = main_job[1]["source"]
    source = Source(Path(given["repo"]), given["commit"], given["name"])
    quiet, toolchain = Progress(quiet=True), build.toolchain()
    request = kconfig.request(["base", "nvmet", "modules"], [], [])
    with tree.slot(source, quiet) as slot:
        base = slot.base()
        slot.check_out(base)
        out = build.folder(base, request, toolchain)
        kconfig.configure(base.path, out, request, toolchain, quiet)
        build.build(base, out, build.key(base, request, toolchain), toolchain, quiet)
        yield base.path, out


def objects(worktree: Path, out: Path, rand: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Return objects in random order, each with the files it was compiled from."""
    everywhere = [f"{worktree}/include/linux/compiler-version.h".encode()]
    names = sorted(make_records.object_names(out, build.toolchain(), modules=False))
    # Code for other surroundings needs more files than its own.
    names = [name for name in names if not name.startswith(("arch/x86/entry", "arch/x86/boot"))]
    for name in rand.sample(names, len(names)):
        for compiled in make_records.compiled_from(out, [name], everywhere):
            paths = [path.decode() for path in compiled.files]
            yield name, [path for path in paths if path.startswith(str(worktree))]


@pytest.mark.nightly
def test_no_object_changes(built: tuple[Path, Path], tmp_path: Path) -> None:
    (worktree, out), rand, headers = built, random.Random(SEED), 0
    for name, paths in itertools.islice(objects(worktree, out, rand), UNITS):
        record = (out / name).with_name(f".{Path(name).name}.cmd").read_text()
        command = record.partition("\n")[0].partition(" := ")[2].partition(";")[0]
        copy = Copy(tmp_path / "copy", worktree, out, command)
        copy.take(paths)
        before = copy.compiled()
        headers += changed(copy, paths, rand)
        assert copy.compiled() == before, f"{name}, seed {SEED}: see {copy.place}"
        shutil.rmtree(copy.place)
    assert headers > UNITS
