# SPDX-License-Identifier: GPL-2.0-only
"""The table of verbs.

Nothing of a verb is imported before it is chosen: its arguments when it is parsed, what it runs
when it runs.  A list of verbs or a completion must not wait for a database or for pytest.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb.

    ``short`` is its line in --help.  ``arguments`` is the module of ``cli.arguments`` whose
    function with the verb's name adds its arguments.  ``body`` is the module of ``cli``, and the
    function in it, that runs it.
    """

    short: str
    arguments: str
    body: str

    def add(self, name: str, commands: Any) -> None:
        """Add the verb, which is called ``name``, to the command line."""
        module = importlib.import_module(f"harness.cli.arguments.{self.arguments}")
        getattr(module, name)(commands)

    def run(self, options: Any, progress: Any) -> int:
        """Run the verb; return the exit code."""
        module, _, function = self.body.partition(":")
        code: int = getattr(importlib.import_module(f"harness.cli.{module}"), function)(
            options, progress
        )
        return code


VERBS = {
    "run": Verb("test a series: apply, build, boot, run the suites", "kernels", "run:run_verb"),
    "check": Verb("check a series patch by patch, before it is merged", "kernels", "check:run"),
    "compare": Verb("show what differs between two runs", "results", "compare:run"),
    "bisect": Verb(
        "find the patch, commit or option that made a test fail", "kernels", "bisect:run"
    ),
    "mutate": Verb(
        "break each line that a series adds, and see if a test notices", "kernels", "mutate:run"
    ),
    "matrix": Verb(
        "run all combinations of series, kernels, configs, compilers and suites",
        "kernels",
        "matrix:run",
    ),
    "report": Verb(
        "write a run as an HTML page, a mail, JUnit, TAP, KCIDB", "results", "report:run"
    ),
    "history": Verb("show the history of a test, a series or a splat", "results", "history:run"),
    "runs": Verb("list the runs in the history", "results", "runs:run_runs"),
    "show": Verb("show a run again", "results", "runs:run_show"),
    "gc": Verb("remove old runs, kernels and builds", "machine", "clean:run_gc"),
    "clean": Verb("show and remove what the cache holds", "machine", "clean:run"),
    "doctor": Verb("show what this machine lacks", "machine", "doctor:run"),
    "setup": Verb("install what this machine lacks", "machine", "doctor:run_setup"),
    "shell": Verb("open a shell in the kernel that harness run tests", "kernels", "shell:run"),
    "splats": Verb("find kernel splats in logs", "results", "splats:run"),
    "series": Verb("show a series as the harness reads it", "series", "series:run"),
    "fetch": Verb("store a series in patches/", "series", "series:run_fetch"),
    "completion": Verb("print completion code for bash, zsh or fish", "machine", "completion:run"),
}
