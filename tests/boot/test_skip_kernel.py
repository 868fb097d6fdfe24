# SPDX-License-Identifier: GPL-2.0-only
"""Shorter builds make the same kernel as whole ones; no kernel is booted here."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TOP, Job

from harness import build, git, kconfig, series, tree
from harness.build import make_records, skip
from harness.model import Checkout, Kernel, Source
from harness.progress import Progress

HEADER = "include/linux/configfs.h"
PROTOTYPE = "\n/* Nobody has it. */\nint configfs_spare_me(struct config_item *item);\n"
AUTHOR = {"GIT_AUTHOR_NAME": "harness", "GIT_AUTHOR_EMAIL": "harness@localhost"}
QUIET = Progress(quiet=True)


class Folder:
    """The build folder that the main job used, built again and again."""

    def __init__(self, slot: tree.Slot) -> None:
        self.slot = slot
        self.toolchain = build.toolchain()
        self.request = kconfig.request(["base", "nvmet", "modules"], [], [])
        self.kernels: list[Kernel] = []
        self.out = Path()

    def build(self, checkout: Checkout, *, lean: bool = False) -> str:
        """Build under a name of its own, so that it is really built; name what a guest loads."""
        self.slot.check_out(checkout)
        self.out = build.folder(checkout, self.request, self.toolchain)
        kconfig.configure(checkout.path, self.out, self.request, self.toolchain, QUIET)
        key = build.key(checkout, self.request, self.toolchain)
        key = dataclasses.replace(key, toolchain=uuid.uuid4().hex, lean=lean)
        self.kernels.append(build.build(checkout, self.out, key, self.toolchain, QUIET))
        return build.loaded_digest(self.kernels[-1], checkout, self.toolchain)

    def compiled(self) -> set[str]:
        lines = (self.out / make_records.LOG).read_text().splitlines()
        return {line.split()[-1] for line in lines if line.startswith("  CC ")}


@pytest.fixture
def folder(main_job: Job) -> Iterator[Folder]:
    given = main_job[1]["source"]
    after = series.load(TOP / "patches" / "configfs-ns").after
    source = Source(Path(given["repo"]), given["commit"], given["name"], after=after)
    with tree.slot(source, QUIET) as slot:
        found = Folder(slot)
        yield found
        for kernel in found.kernels:
            shutil.rmtree(kernel.image.parent)


def with_prototype(checkout: Checkout, index: Path) -> Checkout:
    """Return a commit on top whose header declares one more function."""
    env = {"GIT_INDEX_FILE": str(index), **AUTHOR}
    here = checkout.path
    text = git.run(here, "cat-file", "blob", f"{checkout.commit}:{HEADER}").stdout
    before, end, after = text.rpartition("\n#endif")
    assert end
    stdin = f"{before}{PROTOTYPE}{end}{after}"
    blob = git.run(here, "hash-object", "-w", "--stdin", stdin=stdin).stdout.strip()
    git.run(here, "read-tree", checkout.commit, env=env)
    git.run(here, "update-index", "--cacheinfo", f"100644,{blob},{HEADER}", env=env)
    made = git.run(here, "write-tree", env=env).stdout.strip()
    words = ("commit-tree", made, "-p", checkout.commit, "-m", "configfs: one prototype more")
    commit = git.run(here, *words, env=env).stdout.strip()
    return dataclasses.replace(checkout, commit=commit, tree=made)


@pytest.mark.parametrize("most", [12, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_the_compiler_would_make_the_same(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """``most`` skipped objects are compiled after all; hundreds take a quarter of an hour."""
    found: list[skip.Skipped] = []

    def seen(*words: Any) -> skip.Skipped:
        found.append(before(*words))
        return found[-1]

    before = skip.before_make
    monkeypatch.setattr(skip, "before_make", seen)
    patched = folder.slot.patched(series.load(TOP / "patches" / "configfs-ns"))
    folder.build(patched)
    after = with_prototype(patched, tmp_path / "index")
    digest = folder.build(after)
    skipped = found[-1].objects
    assert {"fs/configfs/dir.o", "drivers/nvme/target/configfs.o"} < set(skipped)
    assert found[-1].why == (f"{HEADER} only gained configfs_spare_me()",)
    assert not folder.compiled() & set(skipped)
    assert len(folder.compiled()) < len(skipped)
    some = sorted(skipped)[:: -(-len(skipped) // most)]
    for name in some:
        (folder.out / name).unlink()
    assert folder.build(after) == digest
    assert set(some) <= folder.compiled()


def test_without_debug_info_and_image_it_is_the_same(folder: Folder) -> None:
    base = folder.slot.base()
    digest = folder.build(base)
    assert build.can_be_lean(folder.out, folder.toolchain)
    assert folder.build(base, lean=True) == digest
    assert not folder.compiled() - {"arch/x86/entry/vdso/vdso64/vdso64-image.o"}
    whole, lean = folder.kernels
    assert whole.vmlinux is not None
    assert lean.image.resolve() == lean.vmlinux
    assert lean.image.stat().st_size < whole.vmlinux.stat().st_size / 4
