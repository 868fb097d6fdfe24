# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of the verbs that show results: compare, report, history, runs, show, splats."""

from __future__ import annotations

from pathlib import Path

from harness.cli.parser import Commands, add_options, add_verb
from harness.publish import PAGE

COMPARE = """\
Compare two kernels: tests whose outcomes differ, new splats, new warnings, and changes
of time and memory beyond the usual noise.

A test that passes on the base and fails on the patched kernel is only a suspect until
it has been rerun on both, alone in a fresh guest: if it passes every time on the base
and fails every time on the patched kernel it is a regression, otherwise it is flaky.
Exit code 1 when the patched kernel is worse."""

COMPARE_EXAMPLES = """\
examples:
  harness compare runs/v1 runs/v2              the kernels that two runs judged
  harness compare 3fa9 last                    by their ids, see harness runs
  harness compare runs/v2/base runs/v2/patched   the two sides of one run
  harness compare --rerun 5 runs/v1 runs/v2    be sure of each regression
  harness compare --rerun 0 --json a b         boot nothing, print JSON for a script
"""


def compare(commands: Commands) -> None:
    """Add `harness compare`."""
    parser = add_verb(commands, "compare", COMPARE, COMPARE_EXAMPLES)
    parser.add_argument("base", type=Path, metavar="BASE", help="a run, or the folder of a side")
    parser.add_argument("patched", type=Path, metavar="PATCHED", help="the run or side to judge")
    add_options(parser, "compare")


REPORT = """\
Write the report of a run: one HTML file that needs no network and no other file.  It
shows the verdict, the failures with their evidence, the tests by kernel, the patches
with the findings at their lines, the timeline and the setup.  RUN is the folder of a
harness run or harness check, a run's id, or "last".
The options for other formats (a mail, JUnit ...) write those instead."""

REPORT_EXAMPLES = """\
examples:
  harness report last --open             look at the newest run
  harness report RUN -o report.html      a file to send to others
  harness report RUN --check CHECK       with the matrix of a check of the same series
  harness report last --mail reply.eml --tested-by 'Jane Doe <jane@example.org>'
  harness report last --junit report.xml --side patched
"""


def report(commands: Commands) -> None:
    """Add `harness report`."""
    from harness.publish.outputs import OUTPUTS  # the table names functions of all outputs

    parser = add_verb(commands, "report", REPORT, REPORT_EXAMPLES)
    parser.add_argument("words", metavar="RUN", help='a folder, a run\'s id, or "last"')
    parser.add_argument(
        "--check", default="", metavar="CHECK", help="also show a check of the same series"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help=f"write the page to FILE (default: {PAGE} in the run's folder)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    forms = parser.add_argument_group("other formats", "FILE may be - for standard output")
    for output in OUTPUTS:
        forms.add_argument(f"--{output.name}", default="", metavar="FILE", help=output.help)
    forms.add_argument(
        "--github",
        action="store_true",
        help="print annotations for GitHub, and write its job summary",
    )
    forms.add_argument(
        "--tested-by",
        default="",
        metavar="NAME <MAIL>",
        help="sender of the mail; it gets a Tested-by only if the run justifies it",
    )
    forms.add_argument(
        "--origin", default="", metavar="NAME", help="your origin name at KernelCI, for --kcidb"
    )
    forms.add_argument(
        "--side",
        default="",
        choices=("base", "patched"),
        help="only this kernel, for --junit and --kcidb",
    )
    add_options(parser, "report")


HISTORY = """\
Show the history of a test, a series or a splat: when a test first failed and last
passed, how often it fails by chance, how its duration changes; the revisions of a
series and what failed with each; where a splat was seen.  An ambiguous name lists the
matches."""

HISTORY_EXAMPLES = """\
examples:
  harness history test_mount.py::test_rmdir        a test, by part of its name
  harness history namespace-aware configfs         a series, by its title
  harness history "WARNING in configfs_rmdir"      a splat, by its title or fingerprint
  harness history --kind test configfs             all tests whose names contain it
  harness history --on base test_rmdir --json      only results on base kernels, for a script
"""


def history(commands: Commands) -> None:
    """Add `harness history`."""
    parser = add_verb(commands, "history", HISTORY, HISTORY_EXAMPLES)
    parser.add_argument("words", nargs="+", metavar="TEST|SERIES|SPLAT", help="what to look for")
    parser.add_argument(
        "--kind", default="", choices=("test", "series", "splat"), help="search only these"
    )
    parser.add_argument(
        "--on", default="", choices=("base", "patched"), help="only results on these kernels"
    )
    parser.add_argument(
        *("-n", "--last"),
        type=int,
        default=20,
        metavar="N",
        help="number of results to show (default: %(default)s)",
    )
    add_options(parser, "history")


RUNS = """\
List the runs in the history, newest first: run, check, compare, bisect, mutate, matrix.
`harness gc` never removes the folder and the kernels of a pinned run."""

RUNS_EXAMPLES = """\
examples:
  harness runs                 the last twenty
  harness runs -n 0 --bad      all bad runs
  harness runs --series configfs --json
  harness runs --pin 3fa9      keep a run (its id, or the beginning of it)
  harness runs --unpin 3fa9
"""

SHOW = """\
Show the summary of a run again, and where its files are.  If its folder is gone, or it
was killed, show what the history recorded about it."""

SHOW_EXAMPLES = """\
examples:
  harness show last
  harness show 3fa9                 by the beginning of its id, see harness runs
  harness show ./out --json         by its folder
"""

#: The verbs whose runs the history records.
RECORDED = ("run", "check", "compare", "bisect", "mutate", "matrix")


def runs(commands: Commands) -> None:
    """Add `harness runs`."""
    parser = add_verb(commands, "runs", RUNS, RUNS_EXAMPLES)
    parser.add_argument(
        *("-n", "--last"),
        type=int,
        default=20,
        metavar="N",
        help="number of runs, 0 for all (default: %(default)s)",
    )
    parser.add_argument(
        "--series", default="", metavar="WORDS", help="only series with WORDS in their titles"
    )
    parser.add_argument("--verb", default="", choices=RECORDED, help="only runs of this verb")
    parser.add_argument("--bad", action="store_true", help="only bad runs")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--pin", default="", metavar="RUN", help="protect this run from gc")
    group.add_argument("--unpin", default="", metavar="RUN", help="let gc remove this run again")
    add_options(parser, "runs")


def show(commands: Commands) -> None:
    """Add `harness show`."""
    parser = add_verb(commands, "show", SHOW, SHOW_EXAMPLES)
    parser.add_argument(
        "which", metavar="RUN", help='an id, the beginning of an id, a folder, or "last"'
    )
    add_options(parser, "show")


SPLATS = """\
Find kernel splats (panic, oops, BUG, WARNING, lockdep ...) in logs: consoles, dmesg,
journals, reports, of any architecture, with any kind of time stamp, plain or
compressed with gzip, xz or bzip2.  Each splat has the title that syzbot gives it, the
function to blame and the task.  Exit code 0 when there is no splat, else 1.

The harness marks the tests in a console, so a splat shows where it came from: [ID]
during the test, [after ID] between its end and the start of the next one (its
teardown, or work it left behind), [boot] before the first test.

With --vmlinux and --tree the stacks are shown with file and line, by the tree's
own scripts; with --series, lines that a patch added are marked.

Some kinds are trouble, but no fault of the kernel's code for certain: "page allocation
failure", "sysfs duplicate", "irq nobody cared", "oom", and "firmware panic" (TF-A, OP-TEE,
U-Boot, UEFI, OpenSBI, Xen).  They count too, unless --ignore names them, or --ignore-splat of
run, check and bisect."""

SPLATS_EXAMPLES = """\
examples:
  harness splats console.log            one line for each splat
  harness splats --full console.log     with the kernel's own lines
  dmesg | harness splats -              from standard input
  harness splats --json */console.log   for a script: a line of JSON for each file
  harness splats console.log --vmlinux out/vmlinux --tree linux --series patches/x
  harness splats console.log --ignore "sysfs duplicate" --ignore "firmware panic"

JSON, one line for each file, splats in the order of the log:
  {"file": ..., "splats": [{"kind", "title", "function", "line", "test", "phase",
   "frames", "task", "cpu", "taint", "access", "size", "address", "alloc_stack",
   "free_stack", "modules", "panic", "fingerprint", "lines", "raw"}]}
"line" counts from 1; "phase" is "boot", "during" or "after" the test "test";
"decoded" is present with --vmlinux.
"""


def splats(commands: Commands) -> None:
    """Add `harness splats`."""
    parser = add_verb(commands, "splats", SPLATS, SPLATS_EXAMPLES)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a log; - is standard input")
    parser.add_argument("--full", action="store_true", help="also show the kernel's own lines")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="KIND",
        help='a kind of splat that does not count, such as "page allocation failure"; repeatable',
    )  # fmt: skip
    lines = parser.add_argument_group("file and line of each frame")
    lines.add_argument("--vmlinux", type=Path, metavar="FILE", help="the vmlinux of that kernel")
    lines.add_argument("--tree", type=Path, metavar="DIR", help="its sources, with their scripts/")
    lines.add_argument(
        "--commit", default="", metavar="REF", help="the commit in --tree that it was built from"
    )
    lines.add_argument("--modules", type=Path, metavar="DIR", help="the folder of its .ko files")
    lines.add_argument("--series", type=Path, metavar="PATH", help="the patches that it contains")
