# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: ``pytest --kernel IMAGE PATH`` runs the tests inside guests.

Loaded by every pytest of the environment, on the host and in guests, so this file imports nothing
but pytest; what the host and the guest do is loaded where it is needed.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without ``--kernel`` the plugin does nothing."""
    group = parser.getgroup("kernel", "run the tests inside guests (kernel harness)")
    add = group.addoption
    add("--kernel", metavar="IMAGE", help="boot this kernel image and run the tests in its guests")
    add("--guests", metavar="N", default="auto", help="guests at once (default: by cores, memory)")
    add("--accel", choices=("auto", "kvm", "tcg"), default="auto", help="how QEMU runs guest code")
    add("--guest-cpus", metavar="N", type=int, default=0, help="processors of a guest")
    add(
        "--guest-memory",
        metavar="MIB",
        type=int,
        default=1024,
        help="memory of a guest (%(default)s)",
    )
    add("--guest-disk", metavar="FILE", action="append", default=[], help="a disk for each guest")
    add("--guest-append", metavar="WORDS", action="append", default=[], help="kernel arguments")
    add(
        "--guest-arch", metavar="ARCH", default="x86_64", help="architecture of IMAGE (%(default)s)"
    )
    add(
        "--guest-scale", metavar="F", type=float, default=1.0, help="stretch every deadline by this"
    )
    add(
        "--boot-timeout",
        metavar="S",
        type=float,
        default=30,
        help="deadline of a boot (%(default)s)",
    )
    add(
        "--test-timeout",
        metavar="S",
        type=float,
        default=60,
        help="deadline of a test (%(default)s)",
    )
    add("--run-timeout", metavar="S", type=float, default=0, help="deadline of the run (none)")
    add("--guest-folder", metavar="DIR", help="where consoles and results are kept")
    add("--guest-booter", metavar="COMMAND", default="", help="in place of virtme-run (for tests)")
    add("--kernel-options", metavar="FILE", help="options (JSON) the running kernel must have")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Take the side this process is on.  Gives None, so that pytest goes on."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if "harness" in worker:
            from harness.guestside import plugin

            plugin.install(config)
    elif config.getoption("kernel") and not config.getoption("collectonly"):
        from harness.plugin import host

        host.install(config)
