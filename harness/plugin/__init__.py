# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: ``pytest --kernel IMAGE PATH`` runs the tests inside guests.

Every pytest in the environment loads this file, on the host and in guests, so it imports little;
the code for the host or the guest is only imported when needed.
"""

from __future__ import annotations

import traceback

import pytest

from harness import options

MARK = """\
expects_splat(pattern, *, kind="", count=0, panic=False, maybe=False): during this test the kernel
must report a splat whose title or lines match the regular expression. kind: the splat must be of
this kind; count: exactly this many such splats (0: at least one); panic: the splat kills the guest;
maybe: the splat is optional (a known fault unrelated to the test). The test fails if an expected
splat is missing, or on any other splat."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without ``--kernel`` the plugin does nothing."""
    group = parser.getgroup("kernel", "run the tests inside guests (kernel harness)")
    for option in options.plugin_options():
        group.addoption(option.pytest, **option.form)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, on the host and in guests."""
    config.addinivalue_line("markers", " ".join(MARK.split()))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | int | None:
    """Install the host side or the guest side, and let pytest continue.

    An unexpected exception becomes an internal error of pytest, because Python's exit status 1
    would mean failed tests.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if "harness" in worker:
            from harness.adaptors import nodes
            from harness.guestside import plugin
            from harness.plugin import xdist_internals

            plugin.install(config, xdist_internals.result_descriptors(config))
            nodes.install(config)
    elif config.getoption("kernel"):
        from harness.plugin import startdir

        if words := startdir.words(config):
            return pytest.main(words, config.invocation_params.plugins)
        if config.getoption("collectonly"):
            from harness.adaptors import nodes

            nodes.install(config)
            return None
        try:
            from harness.plugin import host

            host.install(config)
        except pytest.UsageError:
            raise
        except Exception:
            traceback.print_exc()
            return pytest.ExitCode.INTERNAL_ERROR
    return None
