# SPDX-License-Identifier: GPL-2.0-only
"""Static checkers: sparse and smatch, run by make, and the tree's semantic patches.

make runs sparse or smatch with CHECK=, and C=2 checks files that are already compiled.  ``make
coccicheck`` reads a whole folder and stops at the first rule that this machine's spatch cannot
run, so each rule of scripts/coccinelle is run here, on the touched files alone.
"""

from __future__ import annotations

import concurrent.futures
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import build, git, kbuild, kconfig, process
from harness.check.findings import TreeFindings
from harness.check.walk import Found, Step, Walk
from harness.errors import HostFault
from harness.lab.plan import make_jobs
from harness.model import WHOLE_SERIES, Cell, Checkout, Finding, Kernel, Severity
from harness.text import clean, one_line

# The value of make's CHECK=.
COMMANDS = {"sparse": "sparse", "smatch": "smatch -p=kernel"}
# "file:line:column: warning: text" of sparse, "file:line f() warn: text" of smatch.
_COMPLAINT = re.compile(
    r"^(?P<file>[^\s:][^:]*):(?P<line>\d+)(?::\d+)?:? (?:(?P<function>\w+\(\)) )?"
    r"(?:warning|warn|error): (?P<text>.*)$"
)

RULES = "scripts/coccinelle"
LIMIT = 300.0  # seconds for one rule; the slowest takes 30 s for eleven large files
_REPORT = re.compile(r"^virtual\s+(?:\w+\s*,\s*)*report\b", re.MULTILINE)
_OPTIONS = re.compile(r"^//+[ \t]*Options:[ \t]*(-.*)$", re.MULTILINE)
_REPORTED = re.compile(r"^([^\s:][^:]*):(\d+):\d+(?:-\d+)?: (.*)$")
_INCLUDE = ("-I", "include", "-I", "include/uapi", "-I", "arch/x86/include")


def complaints(walk: Walk, step: Step, checker: str) -> Found:
    """Return a checker's findings in the touched files that are part of this commit's kernel."""
    assert step.build is not None
    checkout, kernel = step.build.checkout, step.build.kernel
    if kernel is None:
        return "does not build"
    walk.slot.check_out(checkout)
    inside = _source_names(kernel)
    goals = [
        str(Path(file).with_suffix(".o"))
        for file in walk.files
        if file.endswith(".c") and (checkout.path / file).is_file() and Path(file).name in inside
    ]
    if not goals:
        return ()
    lab = walk.builder.lab
    out, request = lab.folder(checkout), lab.request_for(checkout)
    kconfig.configure(checkout.path, out, request, lab.toolchain, lab.progress)
    jobs = make_jobs(lab.plan)
    words = kbuild.command(checkout.path, out, lab.toolchain)
    argv = [*words, f"-j{jobs}", "--output-sync=target", "--keep-going"]
    # Compile the files of a reused kernel, which was not built here.
    process.follow([*argv, *goals], lambda _: None, env={**kbuild.environment(), **build.ccache()})
    lines: list[str] = []
    check = ["C=2", f"CHECK={COMMANDS[checker]}", *goals]
    with lab.progress.stage(checker, f"{len(goals)} files"):
        status = process.follow([*argv, *check], lines.append, env=kbuild.environment())
    if kernel.reused:  # so that a later build sees the compiler's warnings
        for goal in goals:
            (out / goal).unlink(missing_ok=True)
    return f"{checker} failed" if status else read_complaints(lines, str(checkout.path), checker)


def read_complaints(lines: Iterable[str], source: str, checker: str) -> tuple[Finding, ...]:
    """Parse the output of sparse or smatch; return findings with paths in the tree."""
    findings: dict[Finding, None] = {}
    for match in filter(None, map(_COMPLAINT.match, lines)):
        file = match["file"].removeprefix(f"{source}/")
        text = f"{match['function']}: {match['text']}" if match["function"] else match["text"]
        line = int(match["line"])
        findings[Finding(Severity.WARNING, text.strip(), file, line, checker)] = None
    return tuple(findings)


def _source_names(kernel: Kernel) -> set[str]:
    """Return the names, without folders, of the C files in a kernel and its modules."""
    images = [*([kernel.vmlinux] if kernel.vmlinux else [])]
    images += sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    if not images:
        return set()
    symbols = process.run(["readelf", "--syms", "--wide", *images], check=False).stdout
    return {line.split()[-1] for line in symbols.splitlines() if " FILE " in line}


class SemanticPatches:
    """The check ``coccinelle``: all rules of the base with a report mode, on the touched files.

    Findings are cached by file content, since most commits do not change most files.
    """

    def __init__(self, walk: Walk, check: str) -> None:
        self.walk, self.check = walk, check
        files = sorted((walk.scripts.folder / RULES).rglob("*.cocci"))
        self.rules = [file for file in files if _REPORT.search(file.read_text(errors="replace"))]
        self.broken: dict[str, str] = {}  # rules that failed once, and why
        self.trees: list[tuple[Finding, ...]] = []
        self._by_blob: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def take(self, step: Step) -> Iterable[Cell]:
        if step.checkout is not None:
            self.trees.append(self._look(step.checkout))
        return ()

    def finish(self) -> Iterable[Cell]:
        # Drop rules that failed on any commit: their old findings would look new elsewhere.
        trees = [
            [finding for finding in tree if finding.rule not in self.broken] for tree in self.trees
        ]
        column = TreeFindings(self.check, trees, {WHOLE_SERIES: self._note})
        return column.cells(self.walk.applied.renames)

    @property
    def _note(self) -> str:
        reasons: dict[str, list[str]] = {}
        for rule, reason in sorted(self.broken.items()):
            reasons.setdefault(reason, []).append(rule)
        text = "; ".join(f"{', '.join(rules)} ({reason})" for reason, rules in reasons.items())
        return f"spatch cannot run {text}" if text else ""

    def _look(self, checkout: Checkout) -> tuple[Finding, ...]:
        blobs = _blobs(checkout, [file for file in self.walk.files if file.endswith(".c")])
        fresh = [file for file, blob in blobs.items() if (file, blob) not in self._by_blob]
        if fresh:
            what = f"{len(self.rules)} rules on {len(fresh)} files"
            with self.walk.progress.stage(self.check, what):
                findings = self._run_rules(fresh)
            for file in fresh:
                own = (finding for finding in findings if finding.file == file)
                self._by_blob[file, blobs[file]] = tuple(dict.fromkeys(own))
        return tuple(finding for blob in blobs.items() for finding in self._by_blob[blob])

    def _run_rules(self, files: Sequence[str]) -> list[Finding]:
        jobs = make_jobs(self.walk.plan)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            try:
                reports = list(pool.map(lambda rule: self._run_rule(rule, files), self.rules))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                process.interrupt_all()
                raise
        return [finding for report in reports for finding in report]

    def _run_rule(self, rule: Path, files: Sequence[str]) -> list[Finding]:
        own = rule_options(rule.read_text(errors="replace"))
        words = ("--very-quiet", "-D", "report", "--no-show-diff", "--cocci-file", rule)
        argv: list[str | Path] = ["spatch", *words, *own, *_INCLUDE, *files]
        try:
            result = process.run(argv, cwd=self.walk.scripts.worktree, timeout=LIMIT, check=False)
        except HostFault:
            self.broken[rule.stem] = f"not finished after {LIMIT:g} s"
            return []
        if not result.ok:
            lines = [line.strip() for line in clean(result.stderr).split("\n") if line.strip()]
            self.broken[rule.stem] = one_line("".join(lines[-1:]), 100) or f"status {result.status}"
        return read_reports(result.stdout.splitlines(), rule.stem)


def spatch_installed() -> bool:
    """Whether coccinelle is installed."""
    return shutil.which("spatch") is not None


def rule_options(rule: str) -> list[str]:
    """Return the spatch options in a rule's header; most rules have none."""
    return " ".join(_OPTIONS.findall(rule)).split()


def read_reports(lines: Iterable[str], rule: str) -> list[Finding]:
    """Parse the reports of spatch."""
    findings = []
    for match in filter(None, map(_REPORTED.match, lines)):
        text = re.sub(r"^(WARNING|ERROR)[: ]+", "", match[3])
        finding = Finding(Severity.WARNING, f"{text} ({rule})", match[1], int(match[2]), rule)
        findings.append(finding)
    return findings


def _blobs(checkout: Checkout, files: Sequence[str]) -> dict[str, str]:
    """Return git's blob id of each file that exists in a commit."""
    if not files:
        return {}
    entries = git.run(checkout.path, "ls-tree", "-z", checkout.commit, "--", *files).stdout
    fields = (entry.split("\t", 1) for entry in entries.split("\0") if entry)
    return {file: info.split()[2] for info, file in fields}
