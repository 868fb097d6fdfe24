# SPDX-License-Identifier: GPL-2.0-only
"""The table of checks.  A new check is an entry here and a module."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from harness.check import boots, builds, checkers, commits, headers, layout, scripts, variants
from harness.check.mail import (
    exports,
    fixes,
    licensed,
    series_form,
    signed,
    subject_form,
    uapi,
)
from harness.check.walk import Check, Needs, Walk, each_patch, each_tree, whole_series
from harness.errors import UsageError
from harness.model import Cell, Finding


def _series_form(walk: Walk) -> Sequence[Finding]:
    """Check the form of the whole series."""
    letters = [mail.letter for mail in walk.mails]
    return [
        *series_form(letters, walk.cover, mails=walk.request.mails),
        *scripts.changed_by(walk.files, trusted=walk.request.trust),
    ]


def _revisions(walk: Walk, check: str) -> Iterable[Cell]:
    """Compare the series with its previous revision, if one was given."""
    previous = walk.request.previous
    if previous is not None:
        yield commits.compare_revisions(walk.slot, walk.applied, previous, walk.folder, check)


#: In the order of their columns.
CHECKS = (
    Check(
        "apply",
        "mail",
        Needs.MAIL,
        "the patch applies",
        each_patch(lambda walk, mail: walk.applied.trouble_with(mail.patch.number)),
    ),
    Check(
        "form",
        "mail",
        Needs.MAIL,
        "subjects, numbers, prefix, cover letter",
        each_patch(lambda _, mail: subject_form(mail.letter), whole=_series_form),
    ),
    Check(
        "signed",
        "mail",
        Needs.MAIL,
        "Signed-off-by of the author and of the sender or committer",
        each_patch(lambda _, mail: signed(mail.letter, mail.committer)),
    ),
    Check(
        "fixes",
        "mail",
        Needs.MAIL,
        "commits in Fixes: lines exist and have the quoted subject",
        each_patch(lambda walk, mail: fixes(walk.slot.path, mail)),
    ),
    Check(
        "spdx",
        "mail",
        Needs.MAIL,
        "new files state their license",
        each_patch(lambda _, mail: licensed(mail.letter.diffs)),
    ),
    Check(
        "checkpatch",
        "scripts",
        Needs.SOURCES,
        "scripts/checkpatch.pl --strict, including spelling",
        each_patch(lambda walk, mail: scripts.checkpatch(walk.scripts, mail)),
    ),
    Check(
        "maintainers",
        "scripts",
        Needs.SOURCES,
        "scripts/get_maintainer.pl against To and Cc; new files have an entry",
        each_patch(
            lambda walk, mail: scripts.maintainers(walk.scripts, mail, walk.cover),
            note=scripts.unsent,
        ),
    ),
    Check(
        "kernel-doc",
        "scripts",
        Needs.SOURCES,
        "new warnings of scripts/kernel-doc in the touched files",
        each_tree(lambda walk, _: scripts.kernel_doc(walk.scripts, walk.files)),
    ),
    Check(
        "revision",
        "mail",
        Needs.MAIL,
        "how each patch changed since --previous (git range-diff)",
        whole_series(_revisions),
    ),
    Check(
        "exports",
        "mail",
        Needs.MAIL,
        "exported symbols that are added or removed",
        each_patch(lambda _, mail: exports(mail.letter.diffs)),
    ),
    Check(
        "uapi",
        "mail",
        Needs.MAIL,
        "changes to the userspace API (include/uapi)",
        each_patch(lambda _, mail: uapi(mail.letter.diffs)),
    ),
    Check(
        "build",
        "kernel",
        Needs.KERNEL,
        "the kernel builds with W=1, without new warnings",
        whole_series(lambda walk, check: builds.cells(walk.builds, check, walk.applied.renames)),
    ),
    Check(
        "sparse",
        "kernel",
        Needs.KERNEL,
        "new warnings of sparse in the touched files",
        each_tree(lambda walk, step: checkers.complaints(walk, step, "sparse")),
        default=False,
        program="sparse",
    ),
    Check(
        "smatch",
        "kernel",
        Needs.KERNEL,
        "new warnings of smatch in the touched files",
        each_tree(lambda walk, step: checkers.complaints(walk, step, "smatch")),
        default=False,
        program="smatch",
    ),
    Check(
        "coccinelle",
        "scripts",
        Needs.SOURCES,
        "new reports of the tree's semantic patches in the touched files",
        checkers.SemanticPatches,
        default=False,
        program="spatch",
    ),
    Check(
        "variants",
        "kernel",
        Needs.MAKE,
        "touched files compile with their options at y, m and n, for 32 bits, with clang",
        whole_series(variants.cells),
        default=False,
    ),
    Check(
        "tests",
        "kernel",
        Needs.KERNEL,
        "the kernel boots and passes the suites as the base does",
        boots.Tests,
    ),
    Check(
        "size",
        "kernel",
        Needs.KERNEL,
        "functions and data that grew or shrank (scripts/bloat-o-meter)",
        layout.Sizes,
    ),
    Check(
        "layout",
        "kernel",
        Needs.KERNEL,
        "structures whose layout changed (pahole, if installed)",
        layout.StructureLayouts,
    ),
    Check(
        "headers",
        "kernel",
        Needs.MAKE,
        "changes in the output of make headers (only if uapi is touched)",
        headers.Headers,
    ),
)


def groups() -> dict[str, tuple[str, ...]]:
    """Return the groups and the names of their checks."""
    names = dict.fromkeys(check.group for check in CHECKS)
    return {group: tuple(check.name for check in CHECKS if check.group == group) for group in names}


def choose(only: Iterable[str], skip: Iterable[str], more: Iterable[str] = ()) -> tuple[Check, ...]:
    """Return the requested checks in table order; names may be separated by commas, or be groups.

    A group stands for those of its checks that run by default.  Raises UsageError.
    """
    default = {check.name for check in CHECKS if check.default}
    groups_by_default = {name: default.intersection(names) for name, names in groups().items()}
    wanted = _names(only, groups_by_default) or default
    wanted = {*wanted, *more, "apply"} - _names(skip, groups())
    return tuple(check for check in CHECKS if check.name in wanted)


def _names(words: Iterable[str], meanings: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the checks that an option's arguments name."""
    known = [check.name for check in CHECKS]
    names: set[str] = set()
    for word in ",".join(words).split(","):
        word = word.strip()
        if not word:
            continue
        if word not in known and word not in meanings:
            near = difflib.get_close_matches(word, [*known, *meanings], 1)
            raise UsageError(
                f"there is no check called {word!r}",
                hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}",
            )
        names.update(meanings.get(word, (word,)))
    return names
