# SPDX-License-Identifier: GPL-2.0-only
"""A kernel whose folder began as a copy is the one from an empty folder; none is booted here."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Job

from harness import build, kconfig, tree
from harness.build import make_records, nearest
from harness.model import Kernel, Source
from harness.progress import Progress

QUIET = Progress(quiet=True)
#: What differs from the main job's config, and how much of it may be compiled.
PAIRS = {
    "MINIX_FS=y": 0.1,
    "DUMMY=y": 0.1,
    "MODULES=n": 1.0,
    "LOG_BUF_SHIFT=18": 0.1,
    "DEBUG_LIST=y": 1.0,
    "IPV6=n": 1.0,
}


class Configs:
    """Kernels of the main job's base with other options, each kept under a name of its own."""

    def __init__(self, slot: tree.Slot) -> None:
        self.slot, self.toolchain = slot, build.toolchain()
        self.folders: set[Path] = set()
        self.kernels: list[Kernel] = []

    def build(self, option: str) -> tuple[bytes, set[str]]:
        """Build a lean kernel in a new folder; return it, and what was compiled."""
        base = self.slot.base()
        self.slot.check_out(base)
        request = kconfig.request(["base", "nvmet", "modules"], [f"CONFIG_{option}"], [])
        out = build.folder(base, request, self.toolchain)
        assert out in self.folders or not (out / make_records.LOG).exists()
        shutil.rmtree(out)
        self.folders.add(build.folder(base, request, self.toolchain))
        kconfig.configure(base.path, out, request, self.toolchain, QUIET)
        key = build.key(base, request, self.toolchain)
        key = dataclasses.replace(key, toolchain=uuid.uuid4().hex, lean=True)
        self.kernels.append(build.build(base, out, key, self.toolchain, QUIET))
        lines = (out / make_records.LOG).read_text().splitlines()
        compiled = {line.split()[-1] for line in lines if line.startswith("  CC ")}
        return self.kernels[-1].image.read_bytes(), compiled


@pytest.fixture
def configs(main_job: Job) -> Iterator[Configs]:
    given = main_job[1]["source"]
    source = Source(Path(given["repo"]), given["commit"], given["name"])
    with tree.slot(source, QUIET) as slot:
        found = Configs(slot)
        yield found
        for folder in (*found.folders, *(kernel.image.parent for kernel in found.kernels)):
            shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.parametrize(("option", "share"), PAIRS.items())
def test_a_copy_makes_the_same_kernel(
    configs: Configs, option: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, compiled = configs.build(option)
    monkeypatch.setattr(nearest, "begin", lambda *_: (False, None))
    whole, every = configs.build(option)
    assert kernel == whole
    assert len(compiled) <= share * len(every)
