# SPDX-License-Identifier: GPL-2.0-only
"""The plugin's host side: guests become xdist's workers, their reports become the journal."""

from __future__ import annotations

import contextlib
import datetime
import json
import shlex
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.errors import HarnessError
from harness.guest import GuestSpec, accel
from harness.guestside import probe
from harness.plugin import phases
from harness.plugin.crashes import Crashes
from harness.plugin.fleet import BootFailed, Fleet, last_words, number
from harness.plugin.watch import Watch
from harness.progress import Progress
from harness.results.journal import Journal


def install(config: pytest.Config) -> None:
    """Make guests xdist's workers.  Raises pytest.UsageError with what is wrong and what to do."""
    try:
        host = _host(config)
    except HarnessError as error:
        raise pytest.UsageError(_text(error)) from None
    option = config.option
    if option.dist == "no":
        option.dist = "load"
    option.numprocesses = None
    option.tx = [host.fleet.worker] * host.fleet.count
    config.pluginmanager.register(host, "harness-host")


def _host(config: pytest.Config) -> HostSide:
    get = config.getoption
    image = Path(get("kernel")).absolute()
    if not image.is_file():
        raise pytest.UsageError(f"--kernel {image}: there is no such image")
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = Path(get("guest_folder") or paths.state("pytest", stamp)).absolute()
    kind, reason = accel.choose(get("accel"), Progress(quiet=True))
    spec = GuestSpec(
        image=image,
        folder=folder / "guests",
        accel=kind,
        arch=get("guest_arch"),
        cpus=get("guest_cpus"),
        memory=get("guest_memory"),
        disks=tuple(Path(disk).absolute() for disk in get("guest_disk") if disk != _NULL),
        boot_deadline=get("boot_timeout"),
        scale=get("guest_scale"),
        cwd=config.invocation_params.dir,
        vmlinux=_uncompressed(image),
        modules=_modules(get("guest_modules"), image),
        booter=tuple(shlex.split(get("guest_booter"))),
        append=(*_null_disks(get("guest_disk")), *" ".join(get("guest_append")).split()),
    )
    # xdist's own -n is taken as the number of guests when ours is not given.
    asked = str(get("numprocesses") or "auto") if get("guests") == "auto" else get("guests")
    named = config.args if all("::" in arg for arg in config.args) else []
    options = json.loads(Path(get("kernel_options")).read_text()) if get("kernel_options") else {}
    return HostSide(config, Fleet(spec, number(asked, spec, len(named))), reason, options)


def _uncompressed(image: Path) -> Path | None:
    """Give the same kernel uncompressed, where a kept kernel or a build folder has it."""
    beside = (image.with_name("vmlinux"), *(up / "vmlinux" for up in image.parents[2:3]))
    # A build folder's image is made from its vmlinux; a newer vmlinux is another kernel's.
    newest = image.stat().st_mtime
    return next((one for one in beside if one.is_file() and one.stat().st_mtime <= newest), None)


def _modules(asked: str | None, image: Path) -> Path | None:
    """Give the folder of modules that was asked for, or the one a kept kernel has."""
    folder = Path(asked).absolute() if asked else image.with_name("modules")
    if asked and not any(folder.glob("*/modules.dep")):
        raise pytest.UsageError(f"--guest-modules {asked}: no RELEASE/modules.dep in there")
    return folder if folder.is_dir() else None


# A disk that is a module of the guest's kernel, not a file of the host's.
_NULL = "null_blk"


def _null_disks(disks: list[str]) -> list[str]:
    """Give the kernel arguments for as many null_blk devices as were asked for."""
    count = disks.count(_NULL)
    return [f"null_blk.nr_devices={count}"] if count else []


def _text(error: HarnessError) -> str:
    parts = (error.what, error.details, f"hint: {error.hint}" if error.hint else "")
    return "\n".join(part for part in parts if part)


class HostSide:
    """Hooks of the controller."""

    def __init__(
        self, config: pytest.Config, fleet: Fleet, reason: str, options: dict[str, str]
    ) -> None:
        self.config = config
        self.fleet = fleet
        self.reason = reason
        self.options = options
        self.journal = Journal(fleet.spec.folder.parent)
        self.names: dict[str, str] = {}  # xdist's worker id: our guest's name
        self.over = threading.Event()
        self.held = contextlib.ExitStack()
        self.held.enter_context(paths.in_use())
        self.watch = Watch(
            config.getoption("test_timeout") * fleet.spec.factor,
            config.getoption("run_timeout"),
            self._late,
            self.over.set,
        )
        self.crashes = Crashes(fleet, self.journal, self.watch)
        # Ctrl-C while xdist connects: the session never starts, so it never finishes either.
        config.add_cleanup(fleet.end)

    def _late(self, guest: str, _test: str) -> None:
        keeper = self.fleet.named(guest)
        if keeper is not None:
            keeper.timeout()

    def pytest_report_header(self) -> list[str]:
        """Say what is booted, how, and where the evidence goes."""
        spec = self.fleet.spec
        return [
            f"kernel: {spec.image}",
            f"guests: {self.fleet.count} ({spec.accel}: {self.reason})",
            f"evidence: {spec.folder.parent}",
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Boot all guests at once; xdist would boot them one after another."""
        try:
            self._boot(self.fleet.count)
        except BaseException:  # pytest does not finish a session that has not started
            self.fleet.end()
            raise

    def _boot(self, count: int) -> None:
        try:
            self.fleet.boot(count)
        except BootFailed as failed:
            console, splats = last_words(failed.keeper.folder)
            words = splats[0].title if splats else "\n".join(console.splitlines()[-20:])
            ended = failed.record.ended if failed.record else "no answer"
            pytest.exit(f"{failed.keeper.name} did not boot ({ended}): {words}", returncode=1)
        except HarnessError as error:
            pytest.exit(_text(error), returncode=pytest.ExitCode.INTERNAL_ERROR)

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        """Ask a fresh guest who it is, and hold its kernel against what was asked."""
        channel = node.gateway.remote_exec(probe)
        channel.send(self.options if not self.names else {})
        answer = channel.receive()
        channel.waitclose()
        if answer["missing"]:
            words = "the running kernel is not the one asked for: " + "; ".join(answer["missing"])
            pytest.exit(words, returncode=pytest.ExitCode.INTERNAL_ERROR)
        self.names[node.gateway.id] = answer["guest"]
        node.workerinput["harness"] = {"guest": answer["guest"]}
        self._listen(node, answer["guest"])

    def _listen(self, node: Any, guest: str) -> None:
        """Hear of a test's start and end when they happen and from which guest.

        The hooks that xdist calls for them do not say which worker it was.
        """
        notify = node.notify_inproc

        def heard(eventname: str, **values: Any) -> None:
            if eventname == "logstart":
                self.journal.started(values["nodeid"], guest)
                self.watch.started(guest, values["nodeid"])
            elif eventname == "logfinish":
                self.watch.finished(guest)
            notify(eventname, **values)

        node.notify_inproc = heard

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note what there is to run."""
        self.journal.collected(ids)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Judge each report before anybody else sees it."""
        if report.when in ("setup", "call", "teardown"):
            self.journal.reported(report.nodeid, phases.judge(report))
        yield

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take down what killed a guest, then boot its replacement, before xdist connects to it."""
        guest = self.names.get(node.gateway.id, "")
        if error and error != "keyboard-interrupt":
            self.crashes.died(guest)
        self.watch.finished(guest)
        if self.over.is_set():
            pytest.exit("the run is over its deadline", returncode=1)
        if error and error != "keyboard-interrupt":
            if self.crashes.hopeless:
                pytest.exit("guests die before they start a test", returncode=1)
            self._boot(1)

    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Put the right test and the reason on xdist's report of a dead worker."""
        self.crashes.explain(crashitem, report, sched)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the guests, after xdist has let go of them."""
        self.watch.close()
        self.fleet.end()
        self.journal.close()
        self.held.close()
