# SPDX-License-Identifier: GPL-2.0-only
"""``harness completion``: completion for shells, of verbs, options and values that are known."""

from __future__ import annotations

import argparse
import json
import os

from harness import errors
from harness.progress import Progress

SHELLS = ("bash", "zsh", "fish")

DESCRIPTION = """\
Print what makes a shell complete the words of harness: verbs, options, series,
fragments, suites, the folders of past runs."""

EXAMPLES = """\
examples:
  eval "$(harness completion bash)"                     in ~/.bashrc
  eval "$(harness completion zsh)"                      in ~/.zshrc, behind compinit
  harness completion fish > ~/.config/fish/completions/harness.fish
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "completion",
        help="completion for bash, zsh and fish",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _progress: Progress) -> int:
    """Print it."""
    from argcomplete.shell_integration import shellcode  # it takes time that others need not spend

    code = shellcode(["harness"], shell=options.shell)
    print(json.dumps({"shell": options.shell, "code": code}) if options.json else code)
    return errors.GOOD


def answer() -> None:
    """Answer a shell that asks for completions, and end; without a question do nothing."""
    import argcomplete

    from harness import cli  # which imports this verb
    from harness.cli import known

    asked = os.environ.get("COMP_LINE", "").split()
    top = cli.parser(asked[1] if len(asked) > 1 else "")
    known.complete(top)
    argcomplete.autocomplete(top)
