# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of the verbs for this machine: doctor, setup, clean, gc, completion."""

from __future__ import annotations

from harness.cli.parser import Commands, add_options, add_verb

CLEAN = """\
Show what the harness stores, by kind, with sizes and last use; or remove the kinds that
you name.  Files that a run is using are never removed.  Everything in the cache can be
made again; runs cannot."""

CLEAN_EXAMPLES = """\
examples:
  harness clean                   show what is stored
  harness clean --builds          remove build folders (kernels stay)
  harness clean --all --dry-run   what would be removed
  harness clean --runs            remove the evidence of past runs as well
"""

GC = """\
Remove run folders, kernels, images and builds that are old, or that exceed a total
size.  Pinned runs (harness runs --pin) stay, and so do the kernels of the remaining
runs.  A run in progress is never touched.  Things that can be made again are removed
before the oldest runs.  Folders made with --out are yours and stay; so does the history
of all runs.  Without a limit nothing is removed."""

GC_EXAMPLES = """\
examples:
  harness gc                                show what is stored, and why it stays
  harness gc --keep-days 30                 remove what was not used for 30 days
  harness gc --max-size 20G --dry-run       what would be removed to stay below 20 GB
"""

CHOICES = {
    "builds": "remove build folders",
    "kernels": "remove built kernels and their records",
    "sources": "remove kernel sources and their worktrees",
    "trees": "remove worktrees",
    "all": "remove the whole cache, but keep the runs",
    "runs": "remove the evidence of past runs, which cannot be made again",
}


def gc(commands: Commands) -> None:
    """Add `harness gc`."""
    parser = add_verb(commands, "gc", GC, GC_EXAMPLES)
    parser.add_argument(
        "--keep-days", type=float, metavar="N", help="remove what was not used for N days"
    )
    parser.add_argument(
        "--max-size",
        default="",
        metavar="SIZE",
        help="remove what exceeds SIZE, such as 500M or 20G",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only list what would be removed"
    )
    add_options(parser, "gc")


def clean(commands: Commands) -> None:
    """Add `harness clean`."""
    parser = add_verb(commands, "clean", CLEAN, CLEAN_EXAMPLES)
    for choice, what in CHOICES.items():
        parser.add_argument(
            f"--{choice}", dest="choices", action="append_const", const=choice, help=what
        )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only list what would be removed"
    )
    parser.set_defaults(choices=[])


DOCTOR = """\
Check which programs, headers and permissions this machine has, which are missing or
too old, and show the command that installs them.  Changes nothing.
Exit code 0 when `harness run` can work, 128 when something it needs is missing."""

DOCTOR_EXAMPLES = """\
examples:
  harness doctor             show what is present and what is missing
  harness doctor --all       include what only some options need
  harness doctor --json      the same for a script
"""

SETUP = """\
Install the system packages that `harness doctor` finds missing, with the
distribution's own package manager, and with sudo unless run as root.
Exit code 0 when everything required or named is present afterwards, else 128."""

SETUP_EXAMPLES = """\
examples:
  harness setup              show the command, ask, install
  harness setup --yes        install without asking
  harness setup clang lld    also what --llvm needs
"""


def doctor(commands: Commands) -> None:
    """Add `harness doctor`."""
    parser = add_verb(commands, "doctor", DOCTOR, DOCTOR_EXAMPLES)
    parser.add_argument(
        "--all", action="store_true", help="also show missing things that only some options need"
    )


def setup(commands: Commands) -> None:
    """Add `harness setup`."""
    parser = add_verb(commands, "setup", SETUP, SETUP_EXAMPLES)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="also install NAME, as harness doctor --all lists it",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="install without asking")


SHELLS = ("bash", "zsh", "fish")

COMPLETION = """\
Print the shell code that completes verbs, options, series, fragments, suites and the
folders of past runs."""

COMPLETION_EXAMPLES = """\
examples:
  eval "$(harness completion bash)"                     in ~/.bashrc
  eval "$(harness completion zsh)"                      in ~/.zshrc, after compinit
  harness completion fish > ~/.config/fish/completions/harness.fish
"""


def completion(commands: Commands) -> None:
    """Add `harness completion`."""
    parser = add_verb(commands, "completion", COMPLETION, COMPLETION_EXAMPLES)
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")
