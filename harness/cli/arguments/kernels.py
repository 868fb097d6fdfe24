# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of the verbs that build and boot kernels: run, check, bisect, mutate, ..."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Iterable
from pathlib import Path

from harness.cli.parser import Commands, add_options, add_verb
from harness.options import count

if typing.TYPE_CHECKING:
    from harness.bisect.signature import SignatureKind

RUN = """\
Build and boot a kernel with and without a series, run the suites in guests of both, and
report what the series changes.  Exit code 1 when the series breaks a test, adds a splat
or a compiler warning, or prevents the kernel from building or booting; 0 otherwise.
A failure that the base has too is listed, but is bad only with --strict.  Without a
base (--patched-only, --no-series) every failure is bad."""

RUN_EXAMPLES = """\
examples:
  harness run                                   the default series on its kernel
  harness run patches/configfs-ns --kernel 7.2  on the newest Linux 7.2.x
  harness run my.mbox --tree ~/linux --base v7.1
  harness run --kconfig debug CONFIG_KASAN_INLINE=n
  harness run --suite tests/guest/nvmet -k tcp -- -x --lf
  git bisect run harness run --no-series --tree . --suite tests/guest/nvmet
"""


def run(commands: Commands) -> None:
    """Add `harness run`."""
    parser = add_verb(commands, "run", RUN, RUN_EXAMPLES)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SERIES | CONFIG_X=y",
        help="the series: a folder, mbox, maildir, -, A..B, message id or a name below patches/;"
        " or config options",
    )
    add_options(parser, "run")


CHECK = """\
Check each patch of a series, and the series as a whole: the mail, the tree's own
scripts, whether the kernel builds with W=1 and without new warnings, boots and passes
the suites.  A table shows which checks found problems in which patches; the list below
it says which patch introduces a problem and which one removes it.  Exit code 0 good,
1 bad (an error, or with --strict a warning), 125 when the series does not apply."""

CHECK_EXAMPLES = """\
examples:
  harness check patches/configfs-ns            a series, on its kernel
  harness check --only mail,scripts my.mbox    quick: nothing is built
  harness check HEAD                           one commit of the tree you are in
  harness check v7.2..topic --tree ~/linux     several commits
  git rebase -i --exec 'harness check HEAD' v7.2
  harness check patches/v3 --previous patches/v2
  harness check --b4 --only mail,scripts       for b4, which pipes a patch in:
    git config b4.review-perpatch-check-cmd 'harness check --b4 --only mail,scripts'
    git config b4.review-series-check-cmd 'harness check --b4 --only build,tests'
"""


def check(commands: Commands) -> None:
    """Add `harness check`."""
    from harness.check import checks  # the table names functions of most stages

    names = "\n".join(
        f"  {entry.name:<12} {entry.help}{'' if entry.default else ' (only if named)'}"
        for entry in checks.CHECKS
    )
    groups = "\n".join(f"  {name:<12} {' '.join(group)}" for name, group in checks.groups().items())
    epilog = f"checks:\n{names}\n\ngroups of checks:\n{groups}\n\n{CHECK_EXAMPLES}"
    parser = add_verb(commands, "check", CHECK, epilog)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SERIES | COMMITS | CONFIG_X=y",
        help="a folder, mbox or name below patches/; a commit or A..B; - is standard input",
    )
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CHECK,...",
        help="run only these checks or groups",
    )
    group.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="CHECK,...",
        help="skip these checks or groups",
    )
    for entry in checks.CHECKS:
        if not entry.default:
            group.add_argument(f"--{entry.name}", action="store_true", help=entry.help)
    group.add_argument("--strict", action="store_true", help="count warnings as bad")
    group.add_argument(
        "--previous", default="", metavar="SERIES", help="the previous revision, for git range-diff"
    )
    group.add_argument("--b4", action="store_true", help="speak b4's check-command protocol")
    add_options(parser, "check")


BISECT = """\
Find what made a test fail, and prove it: a patch of a series (without --good), a commit
between --good and --bad, options of a config, or patches that fail only together.
After --, name files to search only commits that touch them, or give a command whose
exit code counts as in `git bisect run`.  Exit code 0 when the culprit was found and the
proof confirms it, 1 when the proof contradicts it, 125 when the remaining candidates
cannot be tested."""

BISECT_EXAMPLES = """\
examples:
  harness bisect --series patches/mine --test tests/guest/configfs/test_mount.py::test_x
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --test tests/test_nvme.py=timeout
  harness bisect --tree ~/linux --good v7.1 --bad HEAD --splat 'use-after-free' -- fs drivers/nvme
  harness bisect --tree ~/linux --good v7.2 --bad v7.1 --find-fix --boot
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --with-series --series my.mbox --test ID
  harness bisect --config-bad debug --test ID       which option of the fragment is to blame
  harness bisect --interaction --test ID            which patch needs which other one
  harness bisect --tree . --good A --bad B -- ./mine.sh
  harness bisect --resume                           continue where it was stopped
"""


def bisect(commands: Commands) -> None:
    """Add `harness bisect`."""
    from harness.bisect.signature import KINDS

    parser = add_verb(commands, "bisect", BISECT, BISECT_EXAMPLES)
    parser.add_argument("words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as in harness run")
    _add_range(parser.add_argument_group("where to search"))
    _add_signature(parser.add_argument_group("what counts as bad"), KINDS)
    trials = parser.add_argument_group("trials")
    trials.add_argument(
        "--confidence",
        type=float,
        default=0.99,
        metavar="P",
        help="confidence of each decision, for flaky failures (default: %(default)s)",
    )
    trials.add_argument(
        "--trials",
        type=int,
        default=10,
        metavar="N",
        help="give up when the bad end of the range passes N times (default: %(default)s)",
    )
    add_options(parser, "bisect")


def _add_range(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--series", default="", metavar="SERIES", help="search the patches of SERIES"
    )
    group.add_argument(
        "--good", action="append", default=[], metavar="REF", help="a commit in --tree that works"
    )
    group.add_argument(
        "--bad", default="", metavar="REF", help="a commit in --tree that fails (default: HEAD)"
    )
    group.add_argument("--first-parent", action="store_true", help="follow first parents only")
    group.add_argument(
        "--with-series", action="store_true", help="apply the series on top of each commit"
    )
    group.add_argument(
        "--find-fix",
        action="store_true",
        help="find the commit that fixed a failure: --bad is older",
    )
    group.add_argument(
        "--config-good", default="", metavar="FILE|NAME", help="a .config or a fragment that works"
    )
    group.add_argument(
        "--config-bad", default="", metavar="FILE|NAME", help="a .config or a fragment that fails"
    )
    group.add_argument(
        "--interaction", action="store_true", help="leave out one or two patches at a time"
    )
    group.add_argument(
        "--replay", default="", metavar="FILE", help="continue from a git bisect log"
    )
    _add_resume(group, "bisection")


def _add_resume(group: argparse._ArgumentGroup, what: str) -> None:
    group.add_argument(
        "--resume",
        nargs="?",
        const="last",
        default="",
        metavar="DIR",
        help=f"continue the {what} in DIR (default: the last one)",
    )


def _add_signature(group: argparse._ArgumentGroup, kinds: Iterable[SignatureKind]) -> None:
    for kind in kinds:
        if kind.option and not kind.metavar:
            group.add_argument(kind.option, action="store_true", help=kind.help)
        elif kind.option:
            group.add_argument(kind.option, type=kind.convert, metavar=kind.metavar, help=kind.help)
    group.add_argument(
        "--above", type=float, metavar="N", help="with --measure: numbers above N are bad"
    )
    group.add_argument(
        "--below", type=float, metavar="N", help="with --measure: numbers below N are bad"
    )
    group.add_argument(
        "--no-build", action="store_true", help="build no kernel: -- CMD needs only the sources"
    )
    group.add_argument(
        "--other",
        default="skip",
        choices=("skip", "good", "bad"),
        help="what any other failure counts as (default: %(default)s)",
    )


MUTATE = """\
Break one line that a series adds at a time (a condition inverted, an unlock left out),
build that kernel, and run the tests that execute the line until one fails.  A mutant
that no test notices has survived: a test is missing, or the line is not needed.
Exit code 0, or with --at-least 1 when the score is lower; 125 when nothing could be
tried."""

MUTATE_EXAMPLES = """\
examples:
  harness mutate patches/mine                     all mutants: hours
  harness mutate patches/mine --minutes 30        a fair sample over patches and kinds
  harness mutate patches/mine --most 50 --seed 2  another sample
  harness mutate patches/mine --at-least 90       exit code 1 below 90 %
  harness mutate --resume --minutes 60            go on where the last one ended
  harness mutate --run last --minutes 30          after `harness run --coverage`
  harness mutate patches/mine --again last        the survivors, after adding tests
"""


def mutate(commands: Commands) -> None:
    """Add `harness mutate`."""
    from harness.mutate.kinds import KINDS  # tree-sitter

    names = "\n".join(f"  {kind.name:<14} {kind.what}: {kind.reason}" for kind in KINDS)
    epilog = f"kinds of mutants:\n{names}\n\n{MUTATE_EXAMPLES}"
    parser = add_verb(commands, "mutate", MUTATE, epilog)
    parser.add_argument("words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as in harness run")
    group = parser.add_argument_group("mutants")
    group.add_argument(
        "--minutes", type=float, default=0.0, metavar="N", help="stop after N minutes of mutants"
    )
    group.add_argument("--most", type=count, default=0, metavar="N", help="try at most N mutants")
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="choose the sample (default: %(default)s)"
    )
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KIND",
        help="only mutants of this kind; may be given several times",
    )
    group.add_argument(
        "--run",
        default="",
        metavar="RUN",
        help="the results without a mutant are those of RUN, made with --coverage, such as last",
    )
    group.add_argument(
        "--seconds-each",
        type=float,
        default=0.0,
        metavar="S",
        help="give each mutant the tests that took S seconds without it (default: all)",
    )
    group.add_argument(
        "--again",
        default="",
        metavar="MUTATION",
        help="only mutants that were not killed in MUTATION, a folder, or last",
    )
    group.add_argument(
        "--separate",
        action="store_true",
        help="build a kernel for each mutant, instead of one that holds most of them",
    )
    group.add_argument(
        "--at-least",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="exit code 1 if a smaller share is killed",
    )
    _add_resume(group, "mutation")
    add_options(parser, "mutate")


MATRIX = """\
Run a series, or several, on all combinations of kernels, configs, compilers and suites.
FILE.toml lists the values of each axis; each combination is a cell, and each cell is a
`harness run` with its own folder, verdict and report.  Exit code 1 when a cell is bad;
otherwise 128 when one has no verdict, 125 when one is untestable, or 0."""

MATRIX_EXAMPLES = """\
examples:
  harness matrix nightly.toml --list            the cells, without running them
  harness matrix nightly.toml --patched-only    options are those of harness run
  harness matrix nightly.toml --on local:2      two cells at a time
  harness matrix nightly.toml --only '*llvm*'   some of the cells
  harness matrix --resume                       those that have no verdict yet

nightly.toml:
  series = ["patches/mine", "no series"]
  kernels = ["7.1", "7.2"]                      # with --tree: commits of that tree
  kconfig = ["base", ["base", "debug"]]         # a list: fragments and CONFIG_X=y together
  compilers = ["gcc", "llvm"]
  suites = ["tests/guest/configfs", ["a", "b"]]
"""


def matrix(commands: Commands) -> None:
    """Add `harness matrix`."""
    parser = add_verb(commands, "matrix", MATRIX, MATRIX_EXAMPLES)
    parser.add_argument(
        "file", nargs="?", default=None, type=Path, metavar="FILE.toml", help="the axes"
    )
    group = parser.add_argument_group("cells")
    group.add_argument("--list", action="store_true", help="show the cells, and run none")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CELL",
        help="run only this cell: its number, its name, or a pattern such as '*llvm*'; repeatable",
    )
    _add_resume(group, "matrix")
    add_options(parser, "matrix")


SHELL = """\
Boot the kernel that `harness run` would test and open a shell in it, or run one
command.  The guest can read this machine's files but not change them.
The exit code is that of the command."""

SHELL_EXAMPLES = """\
examples:
  harness shell                          the default series' kernel
  harness shell --no-series --kernel 7.2
  harness shell --image arch/x86/boot/bzImage
  harness shell -- dmesg                 one command
"""


def shell(commands: Commands) -> None:
    """Add `harness shell`."""
    parser = add_verb(commands, "shell", SHELL, SHELL_EXAMPLES)
    parser.add_argument("words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as in harness run")
    parser.add_argument(
        "--image", default="", metavar="FILE", help="boot this kernel image instead"
    )
    add_options(parser, "shell")
