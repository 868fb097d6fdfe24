# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: ``pytest --kernel IMAGE PATH`` runs the tests inside guests.

Loaded by every pytest of the environment, on the host and in guests, so this file imports nothing
but pytest; what the host and the guest do is loaded where it is needed.
"""

from __future__ import annotations

import argparse
import traceback
from typing import Any

import pytest

MARK = """\
expects_splat(pattern, *, kind="", count=0, panic=False, maybe=False): the kernel complains during
this test, in a splat whose title or lines match the regular expression; of this kind; this many
times (0: at least once); panic: and the guest dies of it; maybe: or does not complain, a fault
that is known and not this test's.  Any other splat fails the test, and so does none."""


def _count(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number (0 or more), got {word!r}")
    return int(word)


# Name, what argparse makes of it, and its help.
_OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--kernel", {"metavar": "IMAGE"}, "boot this kernel image and run the tests in its guests"),
    ("--guests", {"metavar": "N", "default": "auto"}, "guests at once (by cores and memory)"),
    ("--accel", {"choices": ("auto", "kvm", "tcg"), "default": "auto"}, "how guest code is run"),
    ("--guest-cpus", {"metavar": "N", "type": int, "default": 0}, "processors of a guest"),
    ("--guest-memory", {"metavar": "MIB", "type": int, "default": 1024}, "memory (%(default)s)"),
    ("--guest-disk", {"metavar": "FILE", "action": "append", "default": []}, "file, or null_blk"),
    ("--guest-append", {"metavar": "WORDS", "action": "append", "default": []}, "kernel arguments"),
    ("--guest-modules", {"metavar": "DIR"}, "the guest's /lib/modules (beside IMAGE)"),
    ("--guest-arch", {"metavar": "ARCH", "default": "x86_64"}, "of IMAGE (%(default)s)"),
    ("--guest-scale", {"metavar": "F", "type": float, "default": 1.0}, "stretch deadlines by this"),
    (
        "--guest-env",
        {"metavar": "NAME[=VALUE]", "action": "append", "default": []},
        "an environment variable for the guests",
    ),
    ("--guest-folder", {"metavar": "DIR"}, "where consoles and results are kept"),
    ("--guest-booter", {"metavar": "COMMAND", "default": ""}, "in place of virtme-run (for tests)"),
    ("--boot-timeout", {"metavar": "S", "type": float, "default": 30}, "of a boot (%(default)s)"),
    ("--test-timeout", {"metavar": "S", "type": float, "default": 60}, "of a test (%(default)s)"),
    ("--run-timeout", {"metavar": "S", "type": float, "default": 0}, "of the whole run (none)"),
    ("--repeat", {"metavar": "N", "type": _count, "default": 1}, "run each test N times"),
    ("--retry", {"metavar": "N", "type": _count}, "rerun what failed alone (crashes: once)"),
    ("--allow-flaky", {"action": "store_true"}, "exit with 0 when all that failed is flaky"),
    ("--vmcore", {"action": "store_true"}, "dump the memory of a kernel that panics or hangs"),
    ("--hold", {"action": "store_true"}, "leave the guest of a bad test as it is, and enter it"),
    ("--hold-for", {"metavar": "S", "type": float, "default": 0}, "the same without a terminal"),
    ("--kernel-options", {"metavar": "FILE"}, "options (JSON) the running kernel must have"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without ``--kernel`` the plugin does nothing."""
    group = parser.getgroup("kernel", "run the tests inside guests (kernel harness)")
    for name, form, text in _OPTIONS:
        group.addoption(name, help=text, **form)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, wherever the tests run."""
    config.addinivalue_line("markers", " ".join(MARK.split()))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | None:
    """Take the side this process is on; pytest goes on behind it.

    An exception that nobody foresaw ends pytest as its own do: Python's 1 would mean failed tests.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if "harness" in worker:
            from harness.guestside import plugin

            plugin.install(config)
    elif config.getoption("kernel") and not config.getoption("collectonly"):
        try:
            from harness.plugin import host

            host.install(config)
        except pytest.UsageError:
            raise
        except Exception:
            traceback.print_exc()
            return pytest.ExitCode.INTERNAL_ERROR
    return None
