# SPDX-License-Identifier: GPL-2.0-only
"""The layers: an import only points down.  The table below is the whole list of modules."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "harness"

RANKS = {
    4: {"cli", "__main__"},
    # results reads what guests leave, and so stands on the stages.
    3: {
        *("run", "compare", "check", "bisect", "mutate", "publish", "history", "lab", "plugin"),
        *("results", "cluster", "matrix"),
    },
    2: {
        *("series", "tree", "source", "kconfig", "build", "guest", "splat", "decode"),
        *("doctor", "cache", "vmcore", "adaptors", "gcov"),
    },
    # git: how git is called, for series, source and tree; kbuild: how the kernel's make is called,
    # for kconfig and build; architectures: the table, for builds and guests; diff: what a
    # diff changes, for series, tree, decode and outputs; text: what guests say, cleaned for outputs
    # of all kinds; serial: JSON to values and back, for whoever keeps something.
    1: {
        *("process", "progress", "paths", "git", "architectures", "kbuild", "text", "serial"),
        *("settings", "options", "guestside", "diff"),
    },
    0: {"model", "errors"},
}
RANK = {name: rank for rank, names in RANKS.items() for name in names}
# The modules of one stage never import one another; neither do the two at the bottom.
APART = {0, 2}

# Programs of their own, which run in the guest or beside us: they may print and exit.
PROGRAMS = {"guestside", "guest/keeper.py", "guest/relay.py", "guest/attend.py"}
EXITS = {"print", "exit", "quit", "input"}
SYSTEM = {("sys", "exit"), ("sys", "stdout"), ("os", "_exit"), ("os", "abort")}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def owner(file: Path) -> str:
    """Give the module or package directly below harness/ that a file belongs to."""
    part = file.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Give (line, module or package below harness) for each import, also for nested ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "harness":
            names = [f"harness.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "harness" and len(parts) > 1 and parts[1] != "__version__":
                yield node.lineno, parts[1]


def crossings(source: str, own: str) -> list[str]:
    """Give the imports of a file of ``own`` that do not point down."""
    rank, found = RANK[own], []
    for line, other in imports(ast.parse(source)):
        if other == own:
            continue
        if other not in RANK:
            found.append(f"line {line}: {other} has no rank")
        elif RANK[other] > rank or (RANK[other] == rank and rank in APART):
            found.append(f"line {line}: {own} (rank {rank}) imports {other} (rank {RANK[other]})")
    return found


def talk(source: str) -> list[str]:
    """Give the places where a file prints to standard output or ends the program."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in EXITS:
                found.append(f"line {node.lineno}: {name}()")
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in SYSTEM:
                found.append(f"line {node.lineno}: {module}.{name}")
            case ast.Raise(
                exc=ast.Name(id="SystemExit") | ast.Call(func=ast.Name(id="SystemExit"))
            ):
                found.append(f"line {node.lineno}: raise SystemExit")
            case ast.ImportFrom(module="sys", names=names):
                found += [
                    f"line {node.lineno}: {a.name}" for a in names if a.name in {"exit", "stdout"}
                ]
    return found


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    own = owner(file)
    if own == "__init__":
        assert not list(imports(ast.parse(file.read_text()))), "harness itself imports nothing"
        return
    assert own in RANK, f"{own} has no rank: add it to the table in {Path(__file__).name}"
    assert crossings(file.read_text(), own) == []


def test_no_two_packages_import_one_another() -> None:
    graph: dict[str, set[str]] = {}
    for file in modules():
        own = owner(file)
        found = {other for _, other in imports(ast.parse(file.read_text()))}
        graph.setdefault(own, set()).update(found - {own})
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the cycle


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_the_command_line_prints_and_exits(file: Path) -> None:
    names = {owner(file), file.relative_to(PACKAGE).as_posix()}
    if not names & {"cli", "__main__", *PROGRAMS}:
        assert talk(file.read_text()) == []


def gits(source: str) -> list[int]:
    """Give the lines where git's command line is made."""
    tree = ast.parse(source)
    comparisons = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    compared = {id(part) for one in comparisons for part in ast.walk(one)}
    return sorted(
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple)
        and id(node) not in compared
        and node.elts
        and isinstance(node.elts[0], ast.Constant)
        and node.elts[0].value == "git"
    )


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_git_is_started_in_one_place(file: Path) -> None:
    """A person's configuration changes what git prints: harness.git sees to it."""
    assert bool(gits(file.read_text())) is (owner(file) == "git")


def test_this_test_sees_a_git_that_is_started() -> None:
    source = "run(['git', 'log'])\nx = ('git', *words)\nif x[:2] == ['git', 'bisect']:\n    pass\n"
    assert gits(source) == [1, 2]


def unadvised(source: str) -> list[int]:
    """Give the lines where somebody is told of a mistake, but not what to try."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("UsageError", "errors.UsageError")
        and not any(word.arg in ("hint", None) for word in node.keywords)
    ]


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_mistake_comes_with_what_to_try(file: Path) -> None:
    assert unadvised(file.read_text()) == []


def test_this_test_sees_a_mistake_without_a_hint() -> None:
    source = "raise UsageError('x')\nraise errors.UsageError('x', details='')\n"
    assert unadvised(f"{source}raise UsageError('x', hint='y')") == [1, 2]


def test_imports_are_absolute() -> None:
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}:{node.lineno}"


def test_the_bottom_needs_the_standard_library_only() -> None:
    allowed = {"__future__", "dataclasses", "enum", "hashlib", "pathlib", "typing", "collections"}
    allowed |= {"functools", "importlib"}
    for file in (file for file in modules() if owner(file) in RANKS[0]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert module.startswith("harness.model") or module.split(".")[0] in allowed


@pytest.mark.parametrize(
    ("own", "source", "found"),
    [
        ("build", "from harness.tree import x", 1),
        ("build", "import harness.run", 1),
        ("build", "def f():\n    from harness import source", 1),
        ("build", "if TYPE_CHECKING:\n    from harness.cli import x", 1),
        ("build", "from harness import nonsense", 1),
        ("process", "from harness.build import x", 1),
        ("errors", "from harness.model import x", 1),
        ("build", "from harness.build.log import x\nfrom harness import process, model", 0),
        ("run", "from harness.plugin import x", 0),
        ("cli", "from harness import __version__", 0),
    ],
)
def test_this_test_sees_an_import_that_points_up(own: str, source: str, found: int) -> None:
    assert len(crossings(source, own)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print('x')", 1),
        ("import sys\nsys.exit(1)", 1),
        ("sys.stdout.write('x')", 1),
        ("raise SystemExit(2)", 1),
        ("from sys import stdout", 1),
        ("import sys\nsys.stderr.write('x')", 0),
        ("console.print('x')", 0),
    ],
)
def test_this_test_sees_printing_and_exiting(source: str, found: int) -> None:
    assert len(talk(source)) == found
