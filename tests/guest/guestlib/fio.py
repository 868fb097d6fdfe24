# SPDX-License-Identifier: GPL-2.0-only
"""Load with verification: fio writes to a device, reads back and compares."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator

from harness.guestside import wait

ENDLESS = 1_000_000  # seconds: runs until stopped
PAUSE = 10_000  # microseconds between requests, to leave processor time for others


@dataclasses.dataclass(frozen=True)
class FioResult:
    """The number of bytes that fio wrote and read."""

    written: int
    read: int


def command(device: str) -> list[str]:
    """Return a fio command that writes 4 MiB in blocks of mixed sizes, and verifies meanwhile."""
    return [
        "fio",
        "--name=verify",
        f"--filename={device}",
        "--rw=randwrite",
        "--bsrange=4k-64k",
        "--blockalign=4k",
        "--ioengine=psync",
        "--direct=1",
        "--size=4m",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_backlog=8",  # verify after every 8 blocks, not only at the end
        "--verify_state_save=0",  # do not leave a file behind
        "--output-format=json",
    ]


class Fio:
    """fio in the background, started immediately.  ``more`` are additional options of fio."""

    def __init__(self, device: str, *more: str) -> None:
        self.device = device
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by finish
        self._process = subprocess.Popen(
            [*command(device), *more],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd="/",
            # Keep SIGPIPE ignored, as in Python: nvme-tcp on the host side (7.2) sends in the
            # context of the task that does the I/O, and a broken connection would kill it.
            restore_signals=False,
        )

    def running(self) -> bool:
        """Return whether fio still runs."""
        return self._process.poll() is None

    def goes_on(self, done: Callable[[], tuple[int, int]], count: int = 8) -> None:
        """Wait until another ``count`` reads and writes are ``done`` (see disks.done)."""
        goals = [number + count for number in done()]

        def enough() -> bool:
            if not self.running():
                raise AssertionError(f"fio on {self.device} ended too early:\n{self._messages()}")
            return all(now >= goal for now, goal in zip(done(), goals, strict=True))

        wait.until(enough, f"{count} more verified blocks on {self.device}")

    def stop(self) -> FioResult:
        """Stop fio and return ``finish()``.  Raises AssertionError if it has ended already."""
        assert self.running(), f"fio on {self.device} ended too early:\n{self._messages()}"
        self._process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self) -> FioResult:
        """Wait for its end.  Raises AssertionError, with its output, if it failed."""
        with contextlib.closing(self._log):
            try:
                status = self._process.wait(wait.PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"fio on {self.device} hangs:\n{self._messages()}") from None
            output, messages = self._output(), self._messages()
        # 128: ended by a signal, as sent by ``stop``.
        assert status in (0, 128), f"fio on {self.device}: status {status}:\n{messages}"
        job = json.loads(output[output.index("{") : output.rindex("}") + 1])["jobs"][0]
        assert job["error"] == 0, f"fio on {self.device}: error {job['error']}:\n{messages}"
        result = FioResult(job["write"]["io_bytes"], job["read"]["io_bytes"])
        assert result.read > 0, f"fio verified nothing: it read no data from {self.device}"
        return result

    def kill(self) -> None:
        """Kill fio, unless it has ended already."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait.PATIENCE)

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def _messages(self) -> str:
        """Return fio's output without the JSON."""
        output = self._output()
        head, _, rest = output.partition("{")
        return head + rest.rpartition("}")[2].lstrip()


@contextlib.contextmanager
def begun(device: str) -> Iterator[Fio]:
    """Start fio, with pauses and without end; kill it at the end of the context."""
    fio = Fio(device, f"--thinktime={PAUSE}", "--time_based", f"--runtime={ENDLESS}")
    try:
        yield fio
    finally:
        fio.kill()


def verify(device: str) -> FioResult:
    """Write and verify once, as fast as possible."""
    fio = Fio(device)
    try:
        return fio.finish()
    finally:
        fio.kill()
