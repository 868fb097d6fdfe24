# SPDX-License-Identifier: GPL-2.0-only
"""Stands in for virtme-run: replays the console of a real boot, then behaves as it is told.

``fake_vng.py MODE LOG <virtme-run's arguments>``.  The results port is a socket as QEMU makes it,
with a Python of this machine behind it; QMP knows how to send a break.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

HERE = str(Path(__file__).parent)
FOREVER = 36_000.0  # seconds: who waits for less than its own end is killed
PANIC = "[    2.500000] Kernel panic - not syncing: told to"


def out(line: str) -> None:
    os.write(1, line.encode() + b"\r\n")


def socket_of(words: list[str], start: str) -> str:
    """Give the path in the argument that begins with ``start``."""
    return next(w for w in words if w.startswith(start)).removeprefix(start).split(",")[0]


def qmp(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            client, _ = server.accept()
            with client, client.makefile("rw") as stream:
                stream.write("{}\n")
                stream.flush()
                for _line in stream:
                    stream.write(json.dumps({"event": "X"}) + "\n" + '{"return": {}}\n')
                    stream.flush()


def sysrq() -> None:
    while key := os.read(0, 1):
        out(f"[    3.000000] sysrq: asked for {key.decode()}")


def gateway(path: str, seen: dict[str, str]) -> int:
    """Be the worker in the guest: the first that connects gets a Python; gives its status.

    ``seen`` is what its programs find in the environment.  With FAKE_KMSG there the harness's own
    guest side is content with that file for a kernel's log.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        out("[    2.000000] harness: up")
        client, _ = server.accept()
    if seen.get("FAKE_CUT"):
        threading.Thread(target=cut, args=[client, Path(seen["FAKE_CUT"])], daemon=True).start()
    code = "import sys;exec(eval(sys.stdin.readline()))"
    if "FAKE_KMSG" in os.environ:
        code = f"import sys;sys.path.insert(0, {HERE!r});import fake_kmsg;del sys.path[0];{code}"
    words = [sys.executable, "-u", "-c", code]
    if seen.get("FAKE_SILENT"):
        time.sleep(FOREVER)
    with client:
        return subprocess.run(
            words,
            stdin=client.fileno(),
            stdout=client.fileno(),
            check=False,
            env={**os.environ, **seen},
        ).returncode


def cut(client: socket.socket, file: Path) -> None:
    """Cut the results channel when a test makes ``file``."""
    while not file.exists():
        time.sleep(0.02)
    client.shutdown(socket.SHUT_RDWR)


def noise(mode: str) -> None:
    """Say FAKE_FLOOD bytes on the console, as ``mode`` has it."""
    line = {"garbage": bytes(range(256)) * 16, "flood": b"[    2.1] a driver talks\n" * 200}
    piece = line.get(mode, b"x" * 4096)
    for _ in range(int(os.environ["FAKE_FLOOD"]) // len(piece)):
        os.write(1, piece)
    os.write(1, b"\n")


def boot(mode: str, log: Path) -> int | None:
    """Replay a boot; gives an exit status when that is all there is."""
    if mode == "broken":
        os.write(2, b"qemu: no such machine\n")
        return 1
    if mode == "mute":
        time.sleep(FOREVER)
    tty.setraw(0)  # as QEMU does
    for line in log.read_text().splitlines():
        out(line)
    if mode == "panic at boot":
        out(PANIC)
        return 0
    if mode == "hang at boot":
        time.sleep(FOREVER)
    return None


def main(mode: str, log: Path, words: list[str]) -> int:
    ended = boot(mode, log)
    if ended is not None:
        return ended
    if mode != "deaf":
        threading.Thread(target=sysrq, daemon=True).start()
    threading.Thread(target=qmp, args=[socket_of(words, "unix:")], daemon=True).start()
    if mode in ("panic", "vanish"):
        out("[    2.000000] harness: up")
        time.sleep(0.2)
        if mode == "panic":
            out(PANIC)
        return 0
    after = dict(itertools.pairwise(words))
    seen = {"HARNESS_GUEST": after["--name"], "FAKE_IMAGE": after["--kimg"]}
    seen["FAKE_BOOTER"] = str(os.getpid())
    port = socket_of(words, "socket,id=harness,path=")
    config = Path(after["--kimg"]).with_name("config")
    if config.exists():
        packed = Path(port).with_name("config.gz")
        packed.write_bytes(gzip.compress(config.read_bytes()))
        seen["HARNESS_CONFIG_GZ"] = str(packed)
    if mode == "cut":
        seen["FAKE_CUT"] = os.path.abspath("cut")  # noqa: PTH100
    if mode == "silent":
        seen["FAKE_SILENT"] = "1"
    if mode in ("garbage", "flood", "one long line"):
        threading.Thread(target=noise, args=[mode], daemon=True).start()
    status = gateway(port, seen)
    out(f"[    9.000000] harness: left with status {status}")
    if mode == "stuck":
        time.sleep(FOREVER)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
