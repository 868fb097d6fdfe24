# SPDX-License-Identifier: GPL-2.0-only
"""Find the workers that ``--on`` names: processes of this machine, or those of a scheduler.

Dask's messages are pickles: who reaches a scheduler or a worker runs code there.  So connections
stay on this machine or are encrypted, with certificates on both sides, unless the user insists.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import subprocess
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import paths, process
from harness.errors import HostFault, UsageError
from harness.model import Plan
from harness.progress import Progress

if typing.TYPE_CHECKING:
    from harness.cluster.driver import Cluster

PORT = 8786  # a Dask scheduler's
_LOCAL = re.compile(r"local:(\d+)")
_ADDRESS = re.compile(
    r"(?:(?P<protocol>tcp|tls)://)?(?P<host>\[[^\]]+\]|[^:/\s]+)(?::(?P<port>\d+))?"
)
LOCAL_SCHEDULER = {
    # Events and samples that are kept of each worker, for Dask's developers; by default thousands.
    "distributed.admin.low-level-log-length": 20,
    "distributed.admin.system-monitor.log-length": 20,
    # Workers of this machine are seen to end; one that is silent for minutes has a busy disk.
    "distributed.scheduler.worker-ttl": None,
}
_TIMEOUT = 30.0  # seconds to reach a scheduler


def address(on: str, *, tls: bool, insecure: bool) -> str:
    """Return the scheduler's address for Dask.  Raises UsageError for one that is not safe."""
    match = _ADDRESS.fullmatch(on)
    if match is None:
        raise UsageError(f"--on {on}: not an address", hint="--on local:2, or --on tls://HOST:8786")
    host, port = match["host"], int(match["port"] or PORT)
    if match["protocol"] == "tcp" and tls:
        raise UsageError(f"--on {on} is not encrypted", hint=f"--on tls://{host}:{port}")
    if tls or match["protocol"] == "tls":
        return f"tls://{host}:{port}"
    if not _is_loopback(host.strip("[]")) and not insecure:
        raise UsageError(
            f"--on {on}: whoever reaches a Dask scheduler can run code on its workers and here",
            hint=f"--tls --on tls://{host}:{port} (docs/cluster.md), or --insecure in a network"
            " where you trust everybody",
        )
    return f"tcp://{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False


def local_count(on: str) -> int:
    """Return N of "local:N"; 0 for anything else.  Raises UsageError for "local:0"."""
    match = _LOCAL.fullmatch(on)
    if match is None:
        return 0
    if not int(match[1]):
        raise UsageError("--on local:0 has no workers", hint="--on local:2")
    return int(match[1])


@contextlib.contextmanager
def workers(
    plan: Plan, progress: Progress, joined: Cluster | None = None
) -> Iterator[Cluster | None]:
    """Connect to the plan's workers during the context; yield None if it has none.

    ``joined`` is yielded instead: workers that are already connected, and stay so.  Otherwise, at
    the end of the context all trials have ended.  Raises UsageError for an unsafe address or
    without Dask, HostFault without usable workers.
    """
    on = plan.on
    if joined is not None or not on:
        yield joined
        return
    if plan.hold or plan.hold_for:
        raise UsageError("--hold keeps a guest of this machine", hint="leave out --on")
    count = local_count(on)
    place = "" if count else address(on, tls=plan.tls, insecure=plan.insecure)
    distributed = _dask()
    from harness.cluster.driver import Cluster  # it imports Dask

    with contextlib.ExitStack() as exits:
        if count:
            shares = _shares(count)
            place = exits.enter_context(_local_scheduler(distributed))
            alive = exits.enter_context(_local_workers(place, list(shares)))
        else:
            shares, alive = {}, lambda: True
        client = exits.enter_context(_client(distributed, place))
        cluster = exits.enter_context(Cluster(client, progress, shares, alive).working())
        with progress.stage("workers", on) as stage:
            cluster.wait(count or 1)
            names = sorted(known.name for known in cluster.workers.values())
            stage.finish(f"{len(names)} on {on}: {', '.join(names)}")
        yield cluster


def _dask() -> Any:
    """Import Dask, without its messages; they are about what we say ourselves."""
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            f"--on needs Dask distributed, which cannot be imported: {error}",
            hint="pip install 'kernel-harness[cluster]'",
        ) from error
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return distributed


@contextlib.contextmanager
def _client(distributed: Any, place: str) -> Iterator[Any]:
    security = distributed.Security() if place.startswith("tls") else None
    if security is not None and not (security.tls_ca_file and security.tls_client_cert):
        raise UsageError(
            "no certificates for --tls are configured",
            hint="set distributed.comm.tls.ca-file and client.cert in Dask's configuration"
            " (docs/cluster.md)",
        )
    try:
        client = distributed.Client(
            place, security=security, timeout=_TIMEOUT, set_as_default=False
        )
    except (OSError, TimeoutError) as error:
        hint = "is `dask scheduler` running there? (docs/cluster.md)"
        raise HostFault(f"cannot reach the scheduler {place}: {error}", hint=hint) from error
    try:
        _check_python(client, place)
        yield client
    finally:
        client.close(timeout=10)


def _check_python(client: Any, place: str) -> None:
    """Refuse a scheduler with another Python: it could not read what we send."""
    theirs = client.get_versions()["scheduler"]["host"]["python"].split(".")[:2]
    ours = [str(number) for number in sys.version_info[:2]]
    if theirs != ours:
        raise HostFault(
            f"the scheduler {place} runs Python {'.'.join(theirs)}, this is {'.'.join(ours)}",
            hint="use the same Python on all machines",
        )


def _shares(count: int) -> dict[str, tuple[int, ...]]:
    """Divide this machine's processors among local workers, by name."""
    cores = sorted(os.sched_getaffinity(0))
    return {
        f"local-{number + 1}": tuple(cores[number::count]) or (cores[number % len(cores)],)
        for number in range(count)
    }


@contextlib.contextmanager
def _local_scheduler(distributed: Any) -> Iterator[str]:
    """Run a scheduler in this process; yield its address, which only this machine reaches."""
    import dask.config

    with (
        dask.config.set(LOCAL_SCHEDULER),
        distributed.LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=False,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        ) as local,
    ):
        yield local.scheduler_address


@contextlib.contextmanager
def _local_workers(place: str, names: list[str]) -> Iterator[Callable[[], bool]]:
    """Run workers as processes of ours: they end when we do, however that is.

    Yields a function that says whether all of them are running.
    """
    groups: list[process.Group] = []
    with contextlib.ExitStack() as exits:
        temporary = exits.enter_context(tempfile.TemporaryDirectory(prefix="harness-dask-"))
        log = paths.cache("cluster") / "workers.log"
        with paths.writing(log):
            output = exits.enter_context(log.open("wb"))
        for name in names:
            options = {
                "--name": name,
                "--nworkers": "1",
                "--nthreads": "1",
                "--memory-limit": "0",  # a trial's memory is that of its guests
                "--local-directory": str(Path(temporary) / name),
            }
            words = [word for pair in options.items() for word in pair]
            argv = [sys.executable, "-m", "distributed.cli.dask_worker", place, *words]
            argv += ["--no-nanny", "--no-dashboard"]
            # A search stops its trials, through the driver, and goes on with the same workers.
            group = process.Group(
                argv, stdout=output.fileno(), stderr=subprocess.STDOUT, service=True
            )
            groups.append(exits.enter_context(group))
        yield lambda: all(group.popen.poll() is None for group in groups)
