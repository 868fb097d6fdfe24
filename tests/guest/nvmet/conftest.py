# SPDX-License-Identifier: GPL-2.0-only
"""What the nvmet suites share: transports, and places to run in.

A test that uses the fixture ``place`` runs twice: in the initial instance, and inside a container
that has mounted its own.  Its whole body runs there, so it is written as if there were one
instance only; its fixtures are set up outside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from guestlib.instances import NvmetPlace
from guestlib.nvmet import Instance, Port, loop_port, tcp_port
from harness.guestside import needs
from harness.guestside.container import Container


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    place = pyfuncitem.funcargs.get("place")
    if not isinstance(place, NvmetPlace):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    place.run(lambda: pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture
def own_network() -> bool:
    """Whether a container has a network of its own; suites override it.

    A host that loses its TCP connection makes the next one from a worker of the kernel, and so
    from the initial network (7.2): reconnecting works from there only.
    """
    return True


@pytest.fixture(params=["initial", "container"])
def place(
    request: pytest.FixtureRequest,
    make_container: Callable[..., Container],
    own_network: bool,
    tmpfs: object,
) -> NvmetPlace:
    """Where the test runs."""
    # After tmpfs: what is mounted later is not in the container.
    return NvmetPlace(make_container(network=own_network) if request.param == "container" else None)


@pytest.fixture
def instance(configfs: str) -> Instance:
    """nvmet of the place the test runs in."""
    return Instance(configfs)


@pytest.fixture(
    params=[
        pytest.param(loop_port, marks=needs.config("CONFIG_NVME_TARGET_LOOP"), id="loop"),
        pytest.param(
            tcp_port,
            marks=needs.config("CONFIG_NVME_TARGET_TCP", "CONFIG_NVME_TCP"),
            id="tcp",
        ),
    ]
)
def make_port(request: pytest.FixtureRequest) -> Callable[..., Port]:
    """Make a port of one transport from its id and the subsystems it exports."""
    maker: Callable[..., Port] = request.param
    return maker


@pytest.fixture
def file(make_file: Callable[..., str]) -> str:
    """A file of 2 MiB to export."""
    return make_file(2)
