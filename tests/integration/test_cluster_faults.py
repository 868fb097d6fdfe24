# SPDX-License-Identifier: GPL-2.0-only
"""What happens to a trial when its worker, its machine or the connection fails.

A real Dask scheduler and real workers, each with a cache of its own; the tree and the guests are
fake.  The first worker's guests wait for ever in one test, so that there is time to break it; those
of the others do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import seeds
from fakeproject import Project, ended, outcomes
from patience import PATIENCE

BEGUN = '"started", "id": "suite/test_it.py::test_waits"'
FOREVER = "36000"
HEARTBEATS = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s"}


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


class Farm:
    """A scheduler with workers, as somebody would start them by hand."""

    def __init__(
        self,
        project: Project,
        folder: Path,
        exits: contextlib.ExitStack,
        host: str = "127.0.0.1",
        **tls: str,
    ) -> None:
        folder.mkdir()
        self.tls = tls  # Dask's configuration, as environment
        self.project, self.folder, self._exits = project, folder, exits
        self._file = folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        words = ["--host", host, "--port", "0", "--no-dashboard"]
        words += ["--protocol", "tls"] if tls else []
        self._start("scheduler", [*words, "--scheduler-file", str(self._file)], HEARTBEATS)
        eventually(self._file.exists)

    @property
    def address(self) -> str:
        found: str = json.loads(self._file.read_text())["address"]
        return found

    def worker(self, name: str, before: tuple[str, ...] = (), **environment: str) -> None:
        """Start a worker; ``before`` are words in front of its command."""
        cache = self.folder / name
        seeds.cache(cache)
        words = ["--name", name, "--nthreads", "1", "--nworkers", "1", "--no-nanny"]
        words += ["--memory-limit", "0", "--no-dashboard", "--local-directory"]
        own = {"HARNESS_CACHE": str(cache), **environment}
        argv = [self.address, *words, str(self.folder / f"{name}-dask")]
        self.workers[name] = self._start("worker", argv, own, before)

    def _start(
        self, what: str, words: list[str], more: dict[str, str], before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        log = self._exits.enter_context((self.folder / f"{what}.log").open("ab"))
        process = subprocess.Popen(
            [*before, sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
            env={**self.project.environment(), **self.tls, **more},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        self._exits.callback(process.wait)
        self._exits.callback(process.kill)
        return process

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Start a run of the patched kernel on the workers."""
        return self.project.start("--on", self.address, "--patched-only", *words)

    def begun(self, process: subprocess.Popen[str]) -> None:
        """Wait until the trial is in the test that waits."""
        journal = self.project.out / "patched" / "tests.jsonl"

        def waits() -> bool:
            assert process.poll() is None, process.communicate()
            return journal.exists() and BEGUN in journal.read_text()

        eventually(waits)

    def programs(self, name: str) -> list[str]:
        """Give the command lines of the pytests that a worker has started."""
        found, cache = [], os.fsencode(self.folder / name / "kernels")
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes()
                if b"-m\0pytest\0" in words and cache in words:
                    found.append(words.decode(errors="replace"))
        return found


def fixed_project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    return project


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with contextlib.ExitStack() as exits:
        yield Farm(fixed_project(tmp_path), tmp_path / "farm", exits)


def finished(process: subprocess.Popen[str]) -> tuple[int, dict[str, object], str]:
    out, err = ended(process)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out or "{}"), err


def counted_once(farm: Farm, code: int, run: dict[str, object], err: str) -> None:
    """The trial was done by the second worker: a good result, and one of each test."""
    assert code == 0, err
    assert "the trial is done again" in err
    assert len(run["sides"]) == 1  # type: ignore[arg-type]
    found = outcomes(run)
    assert found["test_waits"] == "pass"
    assert set(found.values()) == {"pass", "skip"}
    tests = (farm.project.out / "patched" / "tests.jsonl").read_text()
    assert tests.count(BEGUN) == 1


def test_a_trial_is_done_again_when_its_worker_is_killed(farm: Farm) -> None:
    farm.worker("w0", WAIT=FOREVER)
    process = farm.run()
    farm.begun(process)
    farm.worker("w1")
    farm.workers["w0"].kill()
    code, run, err = finished(process)
    counted_once(farm, code, run, err)
    assert "worker w0 is gone" in err
    eventually(lambda: not farm.programs("w0"))


def test_a_poisoned_result_is_refused(farm: Farm, tmp_path: Path) -> None:
    """The first worker loses the end of its evidence on the way."""
    (tmp_path / "poison").mkdir()
    (tmp_path / "poison" / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'dask_worker' in ' '.join(sys.orig_argv):\n"
        "    from harness.cluster import worker\n"
        "    real = worker.perform\n"
        "    def perform(*words):\n"
        "        text, archive = real(*words)\n"
        "        return text, archive[:-100]\n"
        "    worker.perform = perform\n"
    )
    path = os.pathsep.join([str(tmp_path / "poison"), str(Path(__file__).parents[2])])
    farm.worker("w0", PYTHONPATH=path)
    process = farm.run()
    eventually(lambda: bool(list((farm.folder / "w0").glob("trials/*"))))
    farm.worker("w1")
    code, run, err = finished(process)
    counted_once(farm, code, run, err)
    assert "checksum is wrong" in err


def test_workers_stop_when_the_driver_is_killed(farm: Farm) -> None:
    farm.worker("w0", WAIT=FOREVER)
    process = farm.run()
    farm.begun(process)
    assert farm.programs("w0")
    process.kill()
    process.communicate()
    eventually(lambda: not farm.programs("w0"))
    assert farm.workers["w0"].poll() is None, "the worker itself goes on"
    eventually(lambda: not list((farm.folder / "w0").glob("trials/*")))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_trials_travel_encrypted(tmp_path: Path) -> None:
    """One certificate for all; whoever has none reaches nothing."""
    key, certificate = (str(tmp_path / name) for name in ("key.pem", "certificate.pem"))
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=harness"]
    argv += ["-keyout", key, "-out", certificate, "-days", "2"]
    subprocess.run(argv, check=True, capture_output=True)
    name = "DASK_DISTRIBUTED__COMM__TLS__{}__{}"
    tls = {
        name.format(role, what): file
        for role in ("SCHEDULER", "WORKER", "CLIENT")
        for what, file in (("CERT", certificate), ("KEY", key))
    }
    tls["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = certificate
    tls["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] = "True"
    with contextlib.ExitStack() as exits:
        farm = Farm(fixed_project(tmp_path), tmp_path / "farm", exits, **tls)
        assert farm.address.startswith("tls://")
        farm.worker("w0")

        def run(out: str, *words: str, **more: str) -> tuple[int, dict[str, object], str]:
            # Dask reads its configuration when it is imported.
            process = subprocess.Popen(
                [*farm.project.argv, "--patched-only", "--out", str(tmp_path / out), *words],
                cwd=farm.project.path,
                env={**farm.project.environment(), **more},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            return finished(process)

        code, _, err = run("one", "--tls", "--on", farm.address, **tls)
        assert code == 0, err
        assert "(w0)" in err
        code, found, _ = run("two", "--on", farm.address)
        assert code == 129
        assert "no certificates" in found["error"]["what"]  # type: ignore[index]
        plain = farm.address.replace("tls://", "tcp://")
        code, found, _ = run("three", "--tls", "--on", plain, **tls)
        assert code == 129
        assert "not encrypted" in found["error"]["what"]  # type: ignore[index]


@pytest.mark.nightly
def test_a_trial_is_done_again_when_its_worker_hangs(farm: Farm) -> None:
    farm.worker("w0", WAIT=FOREVER)
    process = farm.run()
    farm.begun(process)
    farm.worker("w1")
    farm.workers["w0"].send_signal(signal.SIGSTOP)
    code, run, err = finished(process)
    counted_once(farm, code, run, err)
    # It wakes up, learns that it was given up, and leaves nothing.
    farm.workers["w0"].send_signal(signal.SIGCONT)
    eventually(lambda: not farm.programs("w0"))
    assert outcomes(json.loads((farm.project.out / "run.json").read_text())) == outcomes(run)


@pytest.mark.nightly
@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
def test_a_trial_is_done_elsewhere_when_a_disk_is_full(farm: Farm) -> None:
    place = farm.folder / "w0"
    place.mkdir()
    mount = f'mount -t tmpfs -o size=200k none {place} && exec "$@"'
    # Each of them gets a side; the second worker's takes so long that the first one has joined.
    farm.worker("w0", before=("unshare", "--mount", "sh", "-c", mount, "sh"))
    farm.worker("w1", WAIT="20")
    log = farm.folder / "worker.log"
    eventually(lambda: log.read_text().count("Registered to") == 2)
    code, run, err = finished(farm.project.start("--on", farm.address))
    assert code == 0, err
    assert "w0: " in err
    assert "the trial is done again" in err
    assert "No space left" in err or "free" in err
    assert [side["error"] for side in run["sides"]] == ["", ""]  # type: ignore[attr-defined]
    assert outcomes(run)["test_waits"] == "pass"


@pytest.mark.nightly
@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2"
)
def test_a_trial_is_done_again_when_its_worker_is_cut_off(tmp_path: Path) -> None:
    """The worker lives in a network namespace; its link to the scheduler goes down."""
    with contextlib.ExitStack() as exits:
        space, (here, there) = f"harness{os.getpid()}", ("10.123.45.1", "10.123.45.2")
        link = f"hv{os.getpid()}"

        def ip(*words: str) -> None:
            subprocess.run(["ip", *words], check=True)

        ip("netns", "add", space)
        exits.callback(ip, "netns", "del", space)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("address", "add", f"{here}/24", "dev", link)
        ip("link", "set", link, "up")
        inside = ("netns", "exec", space, "ip")
        ip(*inside, "address", "add", f"{there}/24", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "link", "set", "lo", "up")
        farm = Farm(fixed_project(tmp_path), tmp_path / "farm", exits, here)
        farm.worker("w0", before=("ip", "netns", "exec", space), WAIT=FOREVER)
        process = farm.run("--insecure")
        farm.begun(process)
        farm.worker("w1")
        ip("link", "set", link, "down")
        # The scheduler's address went with the link; others go on reaching it.
        code, run, err = finished(process)
        counted_once(farm, code, run, err)


@pytest.mark.nightly
def test_a_trial_that_is_lost_three_times_is_given_up(farm: Farm) -> None:
    for number in range(3):
        farm.worker(f"w{number}", WAIT=FOREVER)
    process = farm.run()
    gone: set[str] = set()
    while len(gone) < 3:

        def busy() -> set[str]:
            return {name for name in farm.workers if farm.programs(name)} - gone

        eventually(lambda: bool(busy()) or process.poll() is not None)
        for name in busy():
            farm.workers[name].kill()
            gone.add(name)
    code, run, _ = finished(process)
    assert code == 128
    assert run["error"]["what"] == "the trial patched was lost 3 times"  # type: ignore[index]
    details = run["error"]["details"]  # type: ignore[index]
    assert all(f"w{number}: " in details for number in range(3))
