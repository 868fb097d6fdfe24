# SPDX-License-Identifier: GPL-2.0-only
"""What a run should do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.model.series import Series


@dataclasses.dataclass(frozen=True)
class Plan:
    """The options of the command line, completed from series.toml and [tool.harness].

    0, "" and None leave the choice to the harness.  Timeouts are in seconds; boot and test timeouts
    are for native speed, and are extended for emulation.  ``memory`` is in MiB.

    Where to start: ``series`` is None if the kernel is tested as it is.  ``series_words`` name the
    series, ``pick`` and ``revision`` choose among several.  ``search_base``: the user did not name
    ``base``, so it may have to be searched for.  ``trust``: the series may contain programs that
    run on the host.  ``no_follow``: options that the series needs to be compiled are not added.
    ``coverage``: count which lines of the series each test executes.
    ``notes`` are lines for display about how the series was interpreted.

    What to run: relative suites start at ``folder``.  ``affected``: first the tests that executed
    what differs from the revision that was counted last; ``only_affected``: no others.  ``first``
    are the ids of these tests once they are known; ``only_first``: run no others.
    ``no_suggest``: a series without suites does not get those of the tree that fit it.
    ``pytest_args`` are for pytest alone.
    ``fresh``: each "test", "class" or "module" gets a guest of its own.
    ``environment`` holds the guests' variables as NAME=VALUE.  ``retry`` is how often a failing
    test is rerun on its kernel (None: only crashes, once), ``reruns`` how often a suspected
    regression is rerun on both kernels.  ``strict``: failures that the base has too count as bad,
    and so do flaky tests.  ``hold_for``: seconds for which the guest of a failing test is kept;
    ``hold``: the user enters that guest from the terminal.

    Where: ``on`` are workers (docs/cluster.md), "" means here; ``tls`` and ``insecure`` are about
    the connection to them.

    ``typed`` is the plan from the command line alone; repeating it requests the same run.
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
    no_follow: bool = False
    coverage: bool = False
    search_base: bool = False
    refresh: bool = False
    arch: str = ""
    llvm: bool = False
    jobs: int = 0
    no_suggest: bool = False
    patched_only: bool = False
    affected: bool = False
    only_affected: bool = False
    first: tuple[str, ...] = ()
    only_first: bool = False
    keyword: str = ""
    repeat: int = 1
    fresh: str = ""
    retry: int | None = None
    reruns: int = 2
    allow_flaky: bool = False
    ignored_splats: tuple[str, ...] = ()
    strict: bool = False
    no_snapshot: bool = False
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
    on: str = ""
    tls: bool = False
    insecure: bool = False
    notes: tuple[str, ...] = ()
    typed: Plan | None = None

    def alone(self, tests: tuple[str, ...]) -> Plan:
        """Return the plan that runs only these tests, once, in a guest that boots.

        What was random at boot would be the same in all copies of a saved guest.
        """
        return dataclasses.replace(
            self, suites=tests, keyword="", repeat=1, retry=0, guests="1", no_snapshot=True
        )

    @property
    def fragment_folders(self) -> tuple[Path, ...]:
        """Where fragments are searched by name: first the series' folder, then the project's."""
        series = (self.series.folder,) if self.series else ()
        return (*series, self.folder / "kconfigs")
