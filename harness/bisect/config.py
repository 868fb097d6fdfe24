# SPDX-License-Identifier: GPL-2.0-only
"""Bisection in a config: the smallest set of options that makes the difference.

Both ends are made by the tree's own tools, and what they differ in, of the options that a person
can choose, are the parts to search.  A candidate asks for the good end's options with some parts
as at the bad end.  Kconfig has the last word: what it makes of this is what is tested.  A part
that did not land takes those with it that it depends on; one that cannot land so is untestable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.bisect import ddmin
from harness.kconfig import reader
from harness.kconfig.compare import same
from harness.kconfig.expression import names, unmet
from harness.model import Call, Candidate, Option, Request

Attempt = Callable[[Request], Mapping[str, str]]  # the values that a request comes to


@dataclasses.dataclass(frozen=True)
class Part:
    """Options that only change together: one, or those of one choice; as at the bad end."""

    options: tuple[Option, ...]

    @property
    def name(self) -> str:
        """What it is called: the option that is on."""
        on = [option.name for option in self.options if option.value != "n"]
        return on[0] if on else self.options[0].name


@dataclasses.dataclass(frozen=True)
class Found:
    """The options that make the difference, with the values they have at the bad end.

    ``brought`` are other options with another value than at the good end, which came with them.
    Nobody could tell what is without the ``unsure``; ``tried`` configurations were tested.
    """

    options: tuple[Option, ...]
    brought: tuple[Option, ...]
    unsure: tuple[str, ...] = ()
    tried: int = 0


@dataclasses.dataclass(frozen=True)
class Made:
    """The parts that landed, in order, and the values of all options then."""

    parts: tuple[Part, ...]
    values: Mapping[str, str]


class Space:
    """What lies between two configurations of one tree.

    ``attempt`` makes a configuration and gives its values; ``known`` is the tree's Kconfig.
    """

    def __init__(
        self, good: Request, bad: Request, attempt: Attempt, known: reader.Options
    ) -> None:
        self._asked = {option.name: option for option in good.options}
        self._attempt, self._known = attempt, known
        self._low, self._high = attempt(good), attempt(bad)
        self._names = sorted({option.name for option in (*good.options, *bad.options)})
        differ = [name for name in self._names if self._differs(name) and _has_prompt(name, known)]
        self.parts = _grouped(
            [Option(name, self._high.get(name, "n"), "the bad end") for name in differ], known
        )
        self._made: dict[tuple[frozenset[Part], bool], Made | None] = {}

    def _differs(self, name: str) -> bool:
        return not same(self._low.get(name, "n"), self._high.get(name, "n"))

    @property
    def good(self) -> Candidate:
        """The good end, as Kconfig makes it."""
        return self._candidate("the good options", self._low)

    @property
    def bad(self) -> Candidate:
        """The bad end: the good one with every part."""
        found = self.candidate(self.parts)
        return dataclasses.replace(found, name="the bad options") if found else self.good

    def candidate(self, parts: Sequence[Part], *, close: bool = True) -> Candidate | None:
        """Make a candidate with these parts, and those they need; None when they do not land.

        Two sets of parts that come to the same give equal requests.
        """
        made = self.make(parts, close=close)
        return self._candidate(_title(made.parts), made.values) if made else None

    def _candidate(self, name: str, values: Mapping[str, str]) -> Candidate:
        """Ask for what is known to land, so that making it again insists on the same."""
        options = (Option(each, values.get(each, "n"), name) for each in self._names)
        request = Request(tuple(options))
        return Candidate(f"{name} [{request.digest[:8]}]", request=request)

    def make(self, parts: Sequence[Part], *, close: bool = True) -> Made | None:
        """Close parts over what they depend on (or not), and let Kconfig make it of them."""
        key = frozenset(parts), close
        if key not in self._made:
            self._made[key] = self._closed(set(parts), close)
        return self._made[key]

    def _closed(self, chosen: set[Part], close: bool) -> Made | None:
        while True:
            asked = self._asked | {o.name: o for part in chosen for o in part.options}
            values = self._attempt(Request(tuple(asked.values())))
            missing = [o for part in chosen for o in part.options if not _landed(o, values)]
            if not missing:
                return Made(tuple(part for part in self.parts if part in chosen), values)
            wanted = {name for each in missing for name in depends(each, self._known, values)}
            more = {p for p in self.parts if any(o.name in wanted for o in p.options)} - chosen
            if not more or not close:
                return None
            chosen |= more

    def brought(self, parts: Sequence[Part]) -> tuple[Option, ...]:
        """Give the options outside of ``parts`` that have another value than at the good end."""
        made = self.make(parts)
        if made is None:
            return ()
        own = {option.name for part in made.parts for option in part.options}
        now, before = made.values, self._low
        changed = [
            name
            for name in sorted({*now, *before} - own)
            if not same(now.get(name, "n"), before.get(name, "n"))
        ]
        return tuple(Option(name, now.get(name, "n"), "Kconfig") for name in changed)


def search(space: Space, test: Callable[[Candidate], Call]) -> Found:
    """Find the smallest set of options; the ends must have been seen to be good and bad.

    Configurations that come to the same are tested once.
    """
    known = {_digest(space.good): Call.GOOD, _digest(space.bad): Call.BAD}
    ends = len(known)

    def call(parts: Sequence[Part], close: bool = True) -> Call:
        made = space.candidate(parts, close=close)
        if made is None:
            return Call.SKIP
        if _digest(made) not in known:
            known[_digest(made)] = test(made)
        return known[_digest(made)]

    found = ddmin.minimal(space.parts, call)
    closed = space.make(found.kept)
    # What was only taken along may be enough by itself.
    small = ddmin.minimal(closed.parts if closed else (), lambda parts: call(parts, close=False))
    lands = {p for p in small.unsure if space.make(_without(small.kept, p), close=False)}
    return Found(
        tuple(option for part in small.kept for option in part.options),
        space.brought(small.kept),
        tuple(part.name for part in small.kept if part in lands),
        len(known) - ends,
    )


def depends(option: Option, known: reader.Options, values: Mapping[str, str]) -> set[str]:
    """Give the options whose value keeps ``option`` from landing.  Pure.

    For one that is to be on: those in its unmet dependencies.  For one that is to be off: those
    that select it.
    """
    if option.value == "n":
        selectors = {entry.name for entry, _ in known.selectors(option.name)}
        return {name for name in selectors if values.get(name) in ("y", "m")}
    need = 2 if option.value == "y" else 1
    conditions = (
        condition
        for entry in known.entries.get(option.name, ())
        for condition in (*entry.depends, *(entry.visible or ()))
    )
    return {
        name
        for condition in conditions
        for part in unmet(condition, values, need)
        for name in names(part)
    }


def _without(parts: Sequence[Part], gone: Part) -> tuple[Part, ...]:
    return tuple(part for part in parts if part != gone)


def _digest(candidate: Candidate) -> str:
    return candidate.request.digest if candidate.request else ""


def _landed(option: Option, values: Mapping[str, str]) -> bool:
    return same(option.value, values.get(option.name, "n"))


def _has_prompt(name: str, known: reader.Options) -> bool:
    return any(entry.visible is not None for entry in known.entries.get(name, ()))


def _grouped(options: Iterable[Option], known: reader.Options) -> tuple[Part, ...]:
    """Put the members of one choice together: one is on because another is off."""
    groups: dict[object, list[Option]] = {}
    for option in options:
        entries = known.entries.get(option.name, ())
        choice = next((entry.choice for entry in entries if entry.choice), None)
        groups.setdefault(choice or option.name, []).append(option)
    return tuple(Part(tuple(group)) for group in groups.values())


def _title(parts: Sequence[Part]) -> str:
    some = ", ".join(part.name for part in parts[:3]) or "no part"
    return f"{some} and {len(parts) - 3} more" if len(parts) > 3 else some
