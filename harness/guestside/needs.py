# SPDX-License-Identifier: GPL-2.0-only
"""Markers for what a test needs: ``@needs.config("CONFIG_NVME_TARGET_TCP")``.

If the guest lacks something, a conftest.py skips the test with the reason (see ``missing``).
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.guestside import kernelfiles

MARKER = "needs"


def config(*options: str) -> pytest.MarkDecorator:
    """Require kernel options that are y or m."""
    return pytest.mark.needs(*(("config", o) for o in options))


def program(*names: str) -> pytest.MarkDecorator:
    """Require programs in PATH."""
    return pytest.mark.needs(*(("program", n) for n in names))


def module(*names: str) -> pytest.MarkDecorator:
    """Require loadable modules, not built-in ones, because the test loads and unloads them."""
    return pytest.mark.needs(*(("module", n) for n in names))


def feature(*names: str) -> pytest.MarkDecorator:
    """Require features of the kernel, which are probed; see FEATURES."""
    unknown = [n for n in names if n not in FEATURES]
    if unknown:
        raise ValueError(f"no probe for {unknown}; known features: {sorted(FEATURES)}")
    return pytest.mark.needs(*(("feature", n) for n in names))


def missing(item: pytest.Item) -> list[str]:
    """Return what ``item`` needs and this guest lacks, one phrase each."""
    wanted = dict.fromkeys(need for mark in item.iter_markers(MARKER) for need in mark.args)
    return [reason for kind, name in wanted if (reason := lacking(kind, name))]


@functools.cache
def lacking(kind: str, name: str) -> str:
    """Return what is missing; empty if nothing is missing."""
    if kind == "config":
        value = kernelfiles.options().get(name, "n")
        return "" if value in ("y", "m") else f"the kernel has {name}={value}"
    if kind == "program":
        return "" if shutil.which(name) else f"the program {name} is not installed"
    if kind == "module":
        return _no_module(name)
    return FEATURES[name]()


def _no_module(name: str) -> str:
    if not shutil.which("modprobe"):
        return "the program modprobe is not installed"
    command = ["modprobe", "--dry-run", "--first-time", name]
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"cannot load module {name}: {done.stderr.strip()}"


def in_guest() -> bool:
    """Return whether this is a guest: suites that change their machine must not run on a host."""
    return bool(os.environ.get("HARNESS_GUEST")) or "virtme" in Path("/proc/cmdline").read_text()


def _refused(call: Callable[[], object], reason: str) -> str:
    try:
        call()
    except OSError as error:
        return f"{reason}: {error.strerror}"
    return ""


def _open_tree_namespace() -> str:
    from harness.guestside import syscalls

    return _refused(
        lambda: os.close(syscalls.open_tree("/", syscalls.OPEN_TREE_NAMESPACE)),
        "no open_tree(OPEN_TREE_NAMESPACE)",
    )


def _statmount_by_fd() -> str:
    from harness.guestside import syscalls

    fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        return _refused(lambda: syscalls.statmount(fd=fd), "no statmount(STATMOUNT_BY_FD)")
    finally:
        os.close(fd)


def _listns() -> str:
    from harness.guestside import syscalls

    return _refused(lambda: syscalls.listns(syscalls.CLONE_NEWNS), "no listns()")


def _slab_counts() -> str:
    from harness.guestside import leaks

    return leaks.slabs_uncounted()


def _kmemleak() -> str:
    from harness.guestside import kmemleak

    return kmemleak.missing()


def _fault_injection() -> str:
    absent = [f for f in ("/proc/self/fail-nth", *_FAULTS) if not Path(f).exists()]
    return f"no fault injection: no {absent[0]}" if absent else ""


def _own_instances() -> str:
    from harness.guestside.container import Container

    with Container() as first, Container() as second:
        for container in (first, second):
            container.mount_configfs()
        places = {Path(f"{c.root}{kernelfiles.CONFIGFS}").stat().st_dev for c in (first, second)}
    return "" if len(places) == 2 else "mount namespaces share one configfs"


_FAULTS = ("/sys/kernel/debug/failslab", "/sys/kernel/debug/fail_page_alloc")


FEATURES: dict[str, Callable[[], str]] = {
    "open_tree_namespace": _open_tree_namespace,
    "statmount_by_fd": _statmount_by_fd,
    "listns": _listns,
    "slab_counts": _slab_counts,
    "kmemleak": _kmemleak,
    "fault_injection": _fault_injection,
    "own_instances": _own_instances,
}
