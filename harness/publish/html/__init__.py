# SPDX-License-Identifier: GPL-2.0-only
"""The report of a run, check, bisection, mutation or matrix: ``write(page(folder), file)``."""

from pathlib import Path

from harness.publish.html import (
    bisection_page,
    check_page,
    matrix_page,
    mutation_page,
    run_page,
)
from harness.publish.html.failures import Ask
from harness.publish.html.page import Page, write
from harness.results import store

__all__ = ["Ask", "Page", "page", "write"]


def page(folder: Path, ask: Ask | None = None, check: Path | None = None) -> Page:
    """Return the page of a run, check, bisection, mutation or matrix.

    ``check`` adds a check's matrix to a run.  ``ask`` returns the histories of tests.  Raises
    UsageError if the folder contains none of them, or a damaged file.
    """
    if not (folder / store.RUN).is_file():
        if (folder / store.CHECK).is_file():
            return check_page.of_check(folder, ask)
        if (folder / store.BISECTION).is_file():
            return bisection_page.of_bisection(folder)
        if (folder / store.MUTATION).is_file():
            return mutation_page.of_mutation(folder)
        if (folder / store.MATRIX).is_file():
            return matrix_page.of_matrix(folder)
        if run_page.is_unfinished(folder):
            return run_page.of_unfinished(folder, ask)
    return run_page.of_run(folder, ask, check)
