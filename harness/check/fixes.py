# SPDX-License-Identifier: GPL-2.0-only
"""Fixes: lines, held against the history of the tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness import git
from harness.model import Finding, Severity

_FORM = re.compile(r'([0-9a-f]{7,40})\s*\(\s*"(.+)"\s*\)\s*$')
_LOOSE = re.compile(r"(?:commit\s+)?([0-9a-f]{7,40})\b", re.IGNORECASE)
DIGITS = 12


def check(repo: Path, commit: str, values: Iterable[str]) -> list[Finding]:
    """Check each value of a Fixes: trailer of a patch that lies on ``commit``."""
    return [one for value in values for one in _one(repo, commit, value)]


def _one(repo: Path, commit: str, value: str) -> list[Finding]:
    found: list[Finding] = []
    form = _FORM.match(value)
    digits = form or _LOOSE.match(value)
    if digits is None:
        return [_found(Severity.ERROR, "form", f"it names no commit: {value}")]
    if form is None:
        found.append(
            _found(Severity.WARNING, "form", f'not of the form <12 digits> ("subject"): {value}')
        )
    name = digits[1].lower()
    if len(name) < DIGITS:
        found.append(
            _found(
                Severity.WARNING, "digits", f"{len(name)} digits, {DIGITS} are asked for: {name}"
            )
        )
    said = git.run(repo, "show", "-s", "--format=%H%n%s", f"{name}^{{commit}}", "--", check=False)
    if not said.ok:
        return [*found, _absent(repo, commit, name, said.stderr)]
    full, _, subject = said.stdout.rstrip("\n").partition("\n")
    if form and " ".join(form[2].split()) != " ".join(subject.split()):
        text = f"{name} is '{subject}', not '{form[2]}'"
        found.append(_found(Severity.ERROR, "subject", text))
    if not git.run(repo, "merge-base", "--is-ancestor", full, commit, check=False).ok:
        found.append(_found(Severity.ERROR, "not-before", f"{name} is not in the history below it"))
    return found


def _absent(repo: Path, commit: str, name: str, said: str) -> Finding:
    """Say that a commit is not there; in a cut history that proves nothing."""
    if "ambiguous" in said:
        return _found(Severity.ERROR, "ambiguous", f"{name} could mean more than one commit")
    roots = git.run(repo, "log", "--max-parents=0", "--format=%s", commit, "--", check=False)
    shallow = git.run(repo, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    many = int(git.line(repo, "rev-list", "--count", "--max-count=1000", commit))
    if shallow or many < 1000 or not roots.ok:
        text = f"{name} cannot be looked up: the tree has no history to speak of"
        return _found(Severity.NOTE, "no-history", text)
    return _found(Severity.ERROR, "unknown", f"there is no commit {name} in the tree")


def _found(level: Severity, rule: str, text: str) -> Finding:
    return Finding(level, f"Fixes: {text}", rule=rule)
