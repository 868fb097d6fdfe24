# SPDX-License-Identifier: GPL-2.0-only
"""The plan of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.model.series import Series


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the command line asks for, completed from series.toml and [tool.harness].

    0, "" and None mean that the harness chooses.  Timeouts are in seconds; those of boots and tests
    are for real hardware and are extended under emulation.  ``memory`` is in MiB.

    The series: ``series`` is None if the kernel is tested as it is.  ``series_words`` name the
    series, ``pick`` and ``revision`` choose one of several.  ``search_base``: the user did not name
    ``base``, so the commit that the series applies to may have to be searched for.  ``trust``:
    programs that the series changes may run on the host.  ``notes`` tell the user how the series
    was read.

    The tests: ``suites`` are relative to ``folder``.  ``pytest_args`` are passed to pytest.
    ``environment`` holds the guests' variables as NAME=VALUE.  ``retry`` is how often a failing
    test is run again on its kernel (None: once after a crash); ``reruns`` is how often a suspected
    regression is rerun on both kernels.  ``strict``: flaky tests, and failures that the base has
    too, count as bad.  ``hold_for`` is how many seconds the guest of a failing test is kept;
    ``hold``: the user gets a shell in it.

    ``typed`` is the plan of the command line alone: the command that repeats the run asks for it.
    """

    folder: Path = Path()
    series: Series | None = None
    kernel: str = ""
    tree: Path | None = None
    base: str = ""
    fragments: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    series_words: tuple[str, ...] = ()
    pick: str = ""
    revision: int = 0
    no_series: bool = False
    trust: bool = False
    search_base: bool = False
    refresh: bool = False
    arch: str = ""
    llvm: bool = False
    jobs: int = 0
    patched_only: bool = False
    keyword: str = ""
    repeat: int = 1
    retry: int | None = None
    reruns: int = 2
    allow_flaky: bool = False
    strict: bool = False
    boot_timeout: float = 30.0
    test_timeout: float = 60.0
    run_timeout: float = 0.0
    guests: str = ""
    accel: str = ""
    memory: int = 0
    cpus: int = 0
    disks: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    hold: bool = False
    hold_for: float = 0.0
    vmcore: bool = False
    out: Path | None = None
    db: str = ""
    notes: tuple[str, ...] = ()
    typed: Plan | None = None

    @property
    def fragment_folders(self) -> tuple[Path, ...]:
        """The folders where a fragment is looked up by name: the series', then the project's."""
        series = (self.series.folder,) if self.series else ()
        return (*series, self.folder / "kconfigs")
