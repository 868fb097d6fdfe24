# SPDX-License-Identifier: GPL-2.0-only
"""Data over every transport, on everything that can be exported, from every place."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from guestlib import disks, fio, nvme
from guestlib.nvmet import Instance, Namespace, Port, Subsystem
from harness.guestside import needs
from harness.guestside.expect import errno_is

pytestmark = [needs.config("CONFIG_NVME_FABRICS"), pytest.mark.usefixtures("place")]

NQN = "nqn.2026-01.org.example:data"
OTHER = "nqn.2026-01.org.example:data-other"
UUID = "7d4c0a52-6f0e-4d2b-9d53-0f6a1c4f2b11"
BLOCK = 1 << 16


@pytest.fixture(
    params=[
        "file",
        pytest.param("null_blk", marks=needs.config("CONFIG_BLK_DEV_NULL_BLK")),
        pytest.param("loop device", marks=needs.config("CONFIG_BLK_DEV_LOOP")),
        pytest.param("ram disk", marks=needs.config("CONFIG_BLK_DEV_RAM")),
    ]
)
def exported(
    request: pytest.FixtureRequest,
    make_file: Callable[..., str],
    make_null_block: Callable[..., str],
) -> Iterator[Namespace]:
    """Something to export, as namespace 1."""
    if request.param == "file":
        yield Namespace(make_file(16), uuid=UUID, buffered=True)
    elif request.param == "null_blk":
        yield Namespace(make_null_block(16), uuid=UUID)
    elif request.param == "loop device":
        with disks.loop_device(make_file(16)) as device:
            yield Namespace(device, uuid=UUID)
    else:
        yield Namespace("/dev/ram0", uuid=UUID)


Files = dict[tuple[str, int], str]


@pytest.fixture
def files(make_file: Callable[..., str]) -> Files:
    """A file for each of two namespaces in two subsystems, of 1, 2, 3, and 4 MiB."""
    keys = [(NQN, 1), (NQN, 7), (OTHER, 1), (OTHER, 2)]
    return {key: make_file(size) for size, key in enumerate(keys, 1)}


def subsystem(nqn: str, files: Files) -> Subsystem:
    namespaces = [Namespace(f, nsid, buffered=True) for (n, nsid), f in files.items() if n == nqn]
    return Subsystem(nqn, tuple(namespaces))


class TestData:
    def test_what_is_written_reads_back_and_is_on_what_is_exported(
        self, instance: Instance, make_port: Callable[..., Port], exported: Namespace
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN, (exported,)), port),
            nvme.connected(port, NQN) as controller,
        ):
            device = controller.device(1, UUID)
            disks.check_data(device, exported.device, size=2 * disks.MEBI)

    @needs.program("fio")
    def test_what_fio_writes_it_reads_back(
        self, instance: Instance, make_port: Callable[..., Port], file: str
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),)), port),
            nvme.connected(port, NQN, io_queues=0) as controller,
        ):
            result = fio.verify(controller.device(1, UUID))
        assert result.written == result.read > 0, "fio did not read back all that it wrote"

    def test_subsystems_and_namespaces_keep_apart(
        self, instance: Instance, make_port: Callable[..., Port], files: Files
    ) -> None:
        port = make_port(1, NQN, OTHER)
        subsystems = [subsystem(NQN, files), subsystem(OTHER, files)]
        with instance.holding(*subsystems, port), ExitStack() as stack:
            host = {nqn: stack.enter_context(nvme.connected(port, nqn)) for nqn in (NQN, OTHER)}
            devices = {key: host[key[0]].device(key[1]) for key in files}
            assert len(set(devices.values())) == len(files), f"devices shared: {devices}"
            sizes = [disks.size_of(device) // disks.MEBI for device in devices.values()]
            assert sizes == [1, 2, 3, 4], "devices mixed up"
            for seed, device in enumerate(devices.values()):
                disks.write(device, disks.pattern(BLOCK, seed))
            for seed, (key, device) in enumerate(devices.items()):
                found = disks.read(device, BLOCK)
                assert found == disks.pattern(BLOCK, seed), f"{key} gives back another's data"
                assert disks.held(files[key], BLOCK) == found, f"{key} went to another's file"


class TestConnection:
    def test_the_controller_names_its_subsystem_and_transport(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        with instance.holding(Subsystem(NQN), port), nvme.connected(port, NQN) as controller:
            found = [controller.read(name) for name in ("subsysnqn", "transport", "state")]
            assert found == [NQN, port.trtype, "live"]

    @needs.program("nvme")
    def test_nvme_cli_finds_connects_and_disconnects_it(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        """The other tests do the same without starting a program each time."""
        port = make_port(1, NQN)
        where = [f"--transport={port.trtype}", f"--traddr={port.traddr}"]
        where += [f"--trsvcid={port.trsvcid}"] if port.trsvcid else []
        with instance.holding(Subsystem(NQN), port):
            assert NQN in run("nvme", "discover", *where)
            run("nvme", "connect", *where, f"--nqn={NQN}", "--nr-io-queues=1")
            (controller,) = nvme.controllers()
            assert controller.read("subsysnqn") == NQN
            run("nvme", "disconnect", f"--device={controller.name}")
            controller.becomes("")

    def test_after_disconnect_the_controller_is_gone(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        with instance.holding(Subsystem(NQN), port):
            controller = nvme.connect(port, NQN)
            controller.disconnect()
            assert controller not in nvme.controllers()

    def test_a_subsystem_that_no_port_exports_cannot_be_reached(
        self, instance: Instance, make_port: Callable[..., Port]
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN), Subsystem(OTHER), port),
            pytest.raises(nvme.NvmeError),
        ):
            nvme.connect(port, OTHER)

    def test_a_namespace_removed_under_a_connected_host_gives_no_more_data(
        self, instance: Instance, make_port: Callable[..., Port], file: str
    ) -> None:
        port = make_port(1, NQN)
        with (
            instance.holding(Subsystem(NQN, (Namespace(file, uuid=UUID, buffered=True),)), port),
            nvme.connected(port, NQN) as controller,
        ):
            device = controller.device(1, UUID)
            (instance.root / instance.namespace(NQN)).rmdir()
            assert not disks.open_for_writing(file), "still exported"
            # ENXIO also says that the device, which is about to go, has become empty.
            with errno_is(errno.EOPNOTSUPP, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOENT):
                disks.read(device, 4096)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout
