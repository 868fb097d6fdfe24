# SPDX-License-Identifier: GPL-2.0-only
"""Whether pytest found its configuration from the tests, or from a value of one of our options."""

from __future__ import annotations

import pytest

from harness import adaptors, options


def words(config: pytest.Config) -> list[str] | None:
    """Return the arguments to start pytest again with; None if there is no need.

    pytest looks for its root and its configuration before it knows a plugin's options.  It then
    takes IMAGE in ``--kernel IMAGE`` for a path with tests, and reads no pytest.ini in the working
    directory if there is no other path.  ``--kernel=IMAGE`` is one word, and no path.
    """
    given = config.invocation_params
    named = config.args_source == pytest.Config.ArgsSource.ARGS and not all(
        adaptors.parse(str(word)) for word in config.args
    )
    if named or config.getoption("rootdir") or config.getoption("inifilename"):
        return None
    joined = _joined([str(word) for word in given.args])
    return joined if joined != list(given.args) else None


def _joined(args: list[str]) -> list[str]:
    """Join each of our options with its value."""
    ours = options.plugin_options()
    valued = {one.pytest for one in ours if one.form.get("action") in (None, "append")}
    joined: list[str] = []
    waiting = False
    for word in args:
        if waiting:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
        waiting = not waiting and word in valued
    return joined
