# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of a config, with a small Kconfig and a solver that replaces the tree's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.bisect import config
from harness.bisect.config import ConfigSpace
from harness.kbuild.expression import level
from harness.kconfig import reader
from harness.model import Call, Candidate, Option, Request

KCONFIG = """
config BASE
\tbool "base"
config DEBUG
\tbool "debugging"
config CHECK
\tbool "a check"
\tdepends on DEBUG
\tselect ENGINE
config ENGINE
\tbool
config SMALL
\tbool "small"
config LARGE
\tbool "large"
config FAST
\tbool "fast"
\tdepends on !DEBUG
config LIMIT
\tint "limit"
\tdepends on DEBUG
choice
\tprompt "how"
config OUTLINE
\tbool "outline"
config INLINE
\tbool "inline"
endchoice
config ODD
\tbool "odd"
\tdepends on NOWHERE
"""


@pytest.fixture
def known(tmp_path: Path) -> reader.KconfigOptions:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    return reader.read_kconfig(tmp_path, "x86")


def ask(**values: str) -> Request:
    return Request(tuple(Option(name, value, "test") for name, value in values.items()))


class Solver:
    """Solves the options above as Kconfig does."""

    def __init__(self, known: reader.KconfigOptions) -> None:
        self.known, self.calls = known, 0

    def __call__(self, request: Request) -> Mapping[str, str]:
        self.calls += 1
        asked = {option.name: option.value for option in request.options}
        values: dict[str, str] = {}
        for _ in range(3):
            for name, entries in self.known.entries.items():
                selected = any(values.get(e.name) == "y" for e, _ in self.known.selectors(name))
                met = all(level(d, values) for entry in entries for d in entry.depends)
                prompt = entries[0].visible is not None
                value = asked.get(name, "n") if prompt and met else "n"
                values[name] = "y" if selected else value
            if values["OUTLINE"] == values["INLINE"]:  # exactly one member of a choice is on
                values["OUTLINE"], values["INLINE"] = "y", "n"
        return {name: value for name, value in values.items() if value != "n"}


GOOD = ask(BASE="y", FAST="y", OUTLINE="y")
BAD = ask(
    BASE="y",
    DEBUG="y",
    CHECK="y",
    SMALL="y",
    LARGE="y",
    FAST="n",
    LIMIT="7",
    INLINE="y",
    OUTLINE="n",
    ENGINE="y",
)


@pytest.fixture
def space(known: reader.KconfigOptions) -> ConfigSpace:
    return ConfigSpace(GOOD, BAD, Solver(known), known)


def where(condition: Callable[[Mapping[str, str]], bool]) -> Callable[[Candidate], Call]:
    """Return a test that is bad if ``condition`` holds for the values."""

    def test(candidate: Candidate) -> Call:
        assert candidate.request is not None
        values = {o.name: o.value for o in candidate.request.options if o.value != "n"}
        return Call.BAD if condition(values) else Call.GOOD

    return test


def asked(found: config.MinimalOptions) -> dict[str, str]:
    return {option.name: option.value for option in found.options}


def test_only_differing_options_with_a_prompt_are_searched(space: ConfigSpace) -> None:
    names = [{option.name for option in group.options} for group in space.groups]
    assert {"ENGINE"} not in names
    assert {"BASE"} not in names
    assert {"INLINE", "OUTLINE"} in names


def test_a_single_option(space: ConfigSpace) -> None:
    found = config.minimize(space, where(lambda values: "SMALL" in values))
    assert asked(found) == {"SMALL": "y"}
    assert (found.brought, found.unsure) == ((), ())


def test_an_option_brings_its_dependencies_and_what_they_change(space: ConfigSpace) -> None:
    found = config.minimize(space, where(lambda values: "CHECK" in values))
    assert asked(found) == {"CHECK": "y", "DEBUG": "y"}
    assert {(o.name, o.value) for o in found.brought} == {("ENGINE", "y"), ("FAST", "n")}


def test_two_options_that_only_fail_together(space: ConfigSpace) -> None:
    both = {"SMALL", "LARGE"}
    found = config.minimize(space, where(lambda values: both <= set(values)))
    assert asked(found) == {"SMALL": "y", "LARGE": "y"}


def test_an_option_that_is_off_at_the_bad_end(space: ConfigSpace) -> None:
    found = config.minimize(space, where(lambda values: "FAST" not in values))
    assert asked(found) in ({"FAST": "n"}, {"DEBUG": "y"})  # either is correct


def test_the_options_of_a_choice_change_together(space: ConfigSpace) -> None:
    found = config.minimize(space, where(lambda values: "INLINE" in values))
    assert asked(found) == {"INLINE": "y", "OUTLINE": "n"}


def test_an_option_with_a_number(space: ConfigSpace) -> None:
    found = config.minimize(space, where(lambda values: values.get("LIMIT") == "7"))
    assert asked(found) == {"LIMIT": "7", "DEBUG": "y"}


def test_the_request_of_a_candidate_lands(space: ConfigSpace, known: reader.KconfigOptions) -> None:
    for count in range(len(space.groups) + 1):
        made = space.candidate(space.groups[:count])
        assert made is not None
        assert made.request is not None
        again = Solver(known)(made.request)
        assert all(again.get(o.name, "n") == o.value for o in made.request.options)


def test_the_same_configuration_is_tested_once(space: ConfigSpace) -> None:
    seen: list[str] = []

    def test(candidate: Candidate) -> Call:
        assert candidate.request is not None
        seen.append(candidate.request.digest)
        return where(lambda values: {"CHECK", "LARGE"} <= set(values))(candidate)

    found = config.minimize(space, test)
    assert set(asked(found)) == {"CHECK", "DEBUG", "LARGE"}
    assert len(seen) == len(set(seen)) == found.tried


def test_the_ends_have_the_requested_options(space: ConfigSpace) -> None:
    for end, value in ((space.good, "n"), (space.bad, "y")):
        assert end.request is not None
        assert {o.name: o.value for o in end.request.options}["DEBUG"] == value


def test_an_option_that_cannot_land_is_untestable(known: reader.KconfigOptions) -> None:
    class Loose(Solver):
        """ODD has a dependency that is not in the Kconfig text."""

        def __call__(self, request: Request) -> Mapping[str, str]:
            both = {"ODD", "BASE"} <= {option.name for option in request.options}
            return {**super().__call__(request), **({"ODD": "y"} if both else {})}

    space = ConfigSpace(ask(SMALL="y"), ask(SMALL="y", BASE="y", ODD="y"), Loose(known), known)
    odd = next(group for group in space.groups if group.name == "ODD")
    assert space.candidate([odd]) is None
    found = config.minimize(space, where(lambda values: "ODD" in values))
    assert asked(found) == {"BASE": "y", "ODD": "y"}
    assert found.unsure == ()


@pytest.mark.parametrize(
    ("option", "values", "wanted"),
    [
        (Option("CHECK", "y", ""), {}, {"DEBUG"}),
        (Option("CHECK", "y", ""), {"DEBUG": "y"}, set()),
        (Option("FAST", "y", ""), {"DEBUG": "y"}, {"DEBUG"}),
        (Option("ENGINE", "n", ""), {"CHECK": "y"}, {"CHECK"}),
        (Option("ENGINE", "n", ""), {}, set()),
        (Option("NEVER", "y", ""), {}, set()),
    ],
)
def test_depends_on(
    known: reader.KconfigOptions, option: Option, values: dict[str, str], wanted: set[str]
) -> None:
    assert config.depends(option, known, values) == wanted
