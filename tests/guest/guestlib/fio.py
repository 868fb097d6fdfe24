# SPDX-License-Identifier: GPL-2.0-only
"""Verified load: fio writes to a device, reads it back and compares."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator

from harness.guestside import wait

ENDLESS = 1_000_000  # seconds: it runs until it is stopped
PAUSE = 10_000  # microseconds: in the background it leaves the processor to others


@dataclasses.dataclass(frozen=True)
class FioResult:
    """How many bytes fio wrote and read."""

    written: int
    read: int


def command(device: str) -> list[str]:
    """A call of fio that writes 4 MiB in blocks of mixed sizes, and verifies at the same time."""
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
        "--verify_backlog=32",  # read back every 32 blocks, not only at the end
        "--verify_state_save=0",  # leaves no file behind
        "--output-format=json",
    ]


class Fio:
    """fio in the background; it starts at once.  ``more`` are additional options of fio."""

    def __init__(self, device: str, *more: str) -> None:
        self.device = device
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by finish
        self._process = subprocess.Popen(
            [*command(device), *more],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd="/",
            # SIGPIPE stays ignored, as in Python: nvme-tcp on the host side (7.2) sends in the
            # context of the task that does the I/O; a broken connection would kill it.
            restore_signals=False,
        )

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def goes_on(self, done: Callable[[], tuple[int, int]], count: int = 20) -> None:
        """Wait until ``count`` more reads and as many more writes are ``done`` (see disks.done)."""
        aims = [number + count for number in done()]

        def enough() -> bool:
            if not self.running():
                raise AssertionError(f"fio on {self.device} ended too soon:\n{self._words()}")
            return all(now >= aim for now, aim in zip(done(), aims, strict=True))

        wait.until(enough, f"{count} more verified blocks on {self.device}")

    def stop(self) -> FioResult:
        """End it now, see ``finish``.  Raises AssertionError if it had ended before."""
        assert self.running(), f"fio on {self.device} ended too soon:\n{self._words()}"
        self._process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self) -> FioResult:
        """Wait for its end.  Raises AssertionError with its output if it failed or data is bad."""
        with contextlib.closing(self._log):
            try:
                status = self._process.wait(wait.PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"fio on {self.device} hangs:\n{self._words()}") from None
            output, words = self._output(), self._words()
        # 128: ended by a signal, which is how ``stop`` does it.
        assert status in (0, 128), f"fio on {self.device}: status {status}:\n{words}"
        job = json.loads(output[output.index("{") : output.rindex("}") + 1])["jobs"][0]
        assert job["error"] == 0, f"fio on {self.device}: error {job['error']}:\n{words}"
        result = FioResult(job["write"]["io_bytes"], job["read"]["io_bytes"])
        assert result.read > 0, f"fio read nothing back from {self.device}, so it verified nothing"
        return result

    def kill(self) -> None:
        """Kill it; having ended already is no error."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait.PATIENCE)

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def _words(self) -> str:
        """Its output without the JSON."""
        output = self._output()
        head, _, rest = output.partition("{")
        return head + rest.rpartition("}")[2].lstrip()


@contextlib.contextmanager
def begun(device: str) -> Iterator[Fio]:
    """fio that runs, with pauses, until it is stopped; killed at the end."""
    fio = Fio(device, f"--thinktime={PAUSE}", "--time_based", f"--runtime={ENDLESS}")
    try:
        yield fio
    finally:
        fio.kill()


def verify(device: str) -> FioResult:
    """Write, read back and verify once, as fast as possible."""
    fio = Fio(device)
    try:
        return fio.finish()
    finally:
        fio.kill()
