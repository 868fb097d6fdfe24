# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: ``pytest --kernel IMAGE PATH`` runs the tests inside guests.

Loaded by every pytest of the environment, on the host and in guests, so this file imports little;
what the host and the guest do is loaded where it is needed.
"""

from __future__ import annotations

import traceback

import pytest

from harness import options

MARK = """\
expects_splat(pattern, *, kind="", count=0, panic=False, maybe=False): during this test the kernel
reports a splat whose title or lines match the regular expression; kind: and that is of this kind;
count: exactly this many times (0: at least once); panic: and the guest dies of it; maybe: or it
reports none (a known fault that the test is not about).  Another splat fails the test, or none."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without ``--kernel`` the plugin does nothing."""
    group = parser.getgroup("kernel", "run the tests inside guests (kernel harness)")
    for option in options.plugin_options():
        group.addoption(option.pytest, **option.form)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, wherever the tests run."""
    config.addinivalue_line("markers", " ".join(MARK.split()))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | None:
    """Install the host's side or the guest's; then pytest continues.

    An unexpected exception is an internal error of pytest: Python's exit status 1 would mean failed
    tests.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if "harness" in worker:
            from harness.guestside import plugin
            from harness.plugin import xdist_internals

            plugin.install(config, xdist_internals.result_descriptors(config))
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
