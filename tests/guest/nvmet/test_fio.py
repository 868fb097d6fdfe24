# SPDX-License-Identifier: GPL-2.0-only
"""Data integrity under mixed load: fio writes, reads back and verifies for some seconds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from harness.guestside import needs, nvme
from harness.guestside.nvmet import Instance, Namespace, Port, Subsystem, loop_port, tcp_port

pytestmark = [needs.program("nvme", "fio")]

NQN = "nqn.2026-01.org.example:fio"
UUID = "66666666-6666-4666-8666-666666666666"
SECONDS = 2


def verify(device: str) -> dict[str, Any]:
    """Run fio on the device; gives its first job's results.  AssertionError with its words."""
    command = [
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
        "--verify_backlog=32",  # read back every 32 blocks, not only when the time is over
        "--time_based",
        f"--runtime={SECONDS}",
        "--output-format=json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"fio on {device}: {done.stderr}{done.stdout[-2000:]}"
    job: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
    return job


@pytest.mark.parametrize(
    "port",
    [
        pytest.param(loop_port(1, NQN), marks=needs.config("CONFIG_NVME_TARGET_LOOP"), id="loop"),
        pytest.param(
            tcp_port(1, NQN),
            marks=needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
            id="tcp",
        ),
    ],
)
def test_what_fio_writes_it_reads_back(
    initial: Instance, make_file: Callable[..., str], port: Port
) -> None:
    namespace = Namespace(make_file(16), uuid=UUID, buffered=True)
    with (
        initial.holding(Subsystem(NQN, (namespace,)), port),
        nvme.connected(port, NQN, io_queues=0) as controller,
    ):
        job = verify(controller.device(1, UUID))
    assert job["error"] == 0
    assert job["write"]["io_bytes"] > 0
    assert job["read"]["io_bytes"] > 0, "fio read nothing back, so it verified nothing"
