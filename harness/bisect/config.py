# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of a config: the smallest set of options that causes the failure.

Both ends are configured with the tree's own Kconfig.  The search covers the options that differ and
have a prompt, in groups that only change together.  A candidate has the options of the good end,
except that some groups have the values of the bad end; Kconfig resolves the result.  A group
"lands" if its values are in the resulting .config.  If a group does not land, the groups that it
depends on are added; if it still does not land, the candidate is untestable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from harness import architectures, build, kconfig
from harness.bisect import ddmin, ends
from harness.bisect.job import BisectJob
from harness.errors import UsageError
from harness.kbuild.expression import names, unmet
from harness.kconfig import reader
from harness.kconfig.fragment import parse, same
from harness.model import Bisected, Call, Candidate, Option, Request

_WRITTEN_BY_MAKE, _TOP = "Automatically generated file", 200  # in the first bytes of a .config
Attempt = Callable[[Request], Mapping[str, str]]  # the values that Kconfig resolves a request to


def bisect_config(job: BisectJob) -> Bisected:
    """Find the options of the bad end that together cause the failure."""
    sources, configs = job.sources, job.plan.configs
    lab = sources.lab
    assert configs is not None
    good, bad = (_request(job, config) for config in configs)
    checkout = sources.checkout(Candidate("the sources"))
    with sources.held() as slot:
        slot.check_out(checkout)
    scratch = build.folder(checkout, Request(()), lab.toolchain)
    kconfigs = reader.read_kconfig(checkout.path, architectures.named(lab.toolchain.arch).folder)

    def attempt(request: Request) -> dict[str, str]:
        return kconfig.attempt(checkout.path, scratch, request, lab.toolchain)

    space = ConfigSpace(good, bad, attempt, kconfigs)
    if not space.groups:
        raise UsageError(
            "both configs result in the same .config",
            hint="give two configs with different options",
        )
    ends.check_failing(job, space.bad)
    ends.check_others(job, [space.good], Call.GOOD)
    minimal = minimize(space, job.call)
    return dataclasses.replace(
        job.answer(configs[0] or "the default options", configs[1], len(space.groups)),
        options=minimal.options,
        brought=minimal.brought,
        notes=tuple(f"{name} could not be left out" for name in minimal.unsure),
    )


def _request(job: BisectJob, config: str) -> Request:
    """Read the options of an end: a whole .config, or a fragment on top of the default options."""
    lab, file = job.sources.lab, Path(config)
    if not config:
        return lab.request
    if file.is_file():
        text = file.read_text("utf-8", "replace")
        if _WRITTEN_BY_MAKE in text[:_TOP]:
            return Request(tuple({option.name: option for option in parse(text, config)}.values()))
    fragment = file.absolute() if file.is_file() else config
    more = kconfig.request([fragment], (), lab.plan.fragment_folders, lab.toolchain.arch)
    both = (*lab.request.options, *more.options)
    return Request(tuple({option.name: option for option in both}.values()))


@dataclasses.dataclass(frozen=True)
class OptionGroup:
    """Options that only change together, with their values at the bad end.

    It is a single option, or the members of a choice.
    """

    options: tuple[Option, ...]

    @property
    def name(self) -> str:
        """The option that is on, or else the first one."""
        on = [option.name for option in self.options if option.value != "n"]
        return on[0] if on else self.options[0].name


@dataclasses.dataclass(frozen=True)
class MinimalOptions:
    """The options that make the difference, with their values at the bad end.

    ``brought`` are other options that Kconfig changed along with them.  ``unsure`` are groups that
    could not be left out; ``tried`` is the number of tested configurations.
    """

    options: tuple[Option, ...]
    brought: tuple[Option, ...]
    unsure: tuple[str, ...] = ()
    tried: int = 0


@dataclasses.dataclass(frozen=True)
class LandedGroups:
    """The groups that landed, in order, and the resulting values of all options."""

    groups: tuple[OptionGroup, ...]
    values: Mapping[str, str]


class ConfigSpace:
    """The configurations between the good and the bad one, for the same tree.

    ``attempt`` runs Kconfig on a request and returns the resulting values; ``kconfigs`` is the
    tree's Kconfig.
    """

    def __init__(
        self, good: Request, bad: Request, attempt: Attempt, kconfigs: reader.KconfigOptions
    ) -> None:
        self._good_options = {option.name: option for option in good.options}
        self._attempt, self._kconfigs = attempt, kconfigs
        self._low, self._high = attempt(good), attempt(bad)
        self._names = sorted({option.name for option in (*good.options, *bad.options)})
        self.groups = _grouped(
            [
                Option(name, self._high.get(name, "n"), "the bad end")
                for name in self._names
                if not same(self._low.get(name, "n"), self._high.get(name, "n"))
                and any(entry.visible is not None for entry in kconfigs.entries.get(name, ()))
            ],
            kconfigs,
        )
        self._landed: dict[tuple[frozenset[OptionGroup], bool], LandedGroups | None] = {}

    @property
    def good(self) -> Candidate:
        """The good end, as Kconfig resolves it."""
        return self._candidate("the good options", self._low)

    @property
    def bad(self) -> Candidate:
        """The bad end: the good end with every group."""
        everything = self.candidate(self.groups)
        return dataclasses.replace(everything, name="the bad options") if everything else self.good

    def candidate(self, groups: Sequence[OptionGroup], *, close: bool = True) -> Candidate | None:
        """Return a candidate with these groups and their dependencies; None if they do not land.

        Two sets of groups that result in the same configuration have equal requests.
        """
        landed = self.land(groups, close=close)
        if landed is None:
            return None
        title = ", ".join(group.name for group in landed.groups[:3]) or "no option"
        if len(landed.groups) > 3:
            title += f" and {len(landed.groups) - 3} more"
        return self._candidate(title, landed.values)

    def _candidate(self, name: str, values: Mapping[str, str]) -> Candidate:
        """Return a candidate that requests the resulting values, so that the build matches."""
        options = (Option(option, values.get(option, "n"), name) for option in self._names)
        request = Request(tuple(options))
        return Candidate(f"{name} [{request.digest[:8]}]", request=request)

    def land(self, groups: Sequence[OptionGroup], *, close: bool = True) -> LandedGroups | None:
        """Configure with these groups; with ``close``, also with the groups they depend on."""
        key = frozenset(groups), close
        if key not in self._landed:
            self._landed[key] = self._closed(set(groups), close)
        return self._landed[key]

    def _closed(self, chosen: set[OptionGroup], close: bool) -> LandedGroups | None:
        while True:
            options = [option for group in chosen for option in group.options]
            requested = self._good_options | {option.name: option for option in options}
            values = self._attempt(Request(tuple(requested.values())))
            missing = [o for o in options if not same(o.value, values.get(o.name, "n"))]
            if not missing:
                return LandedGroups(tuple(g for g in self.groups if g in chosen), values)
            wanted = {name for o in missing for name in depends(o, self._kconfigs, values)}
            more = {g for g in self.groups if any(o.name in wanted for o in g.options)} - chosen
            if not more or not close:
                return None
            chosen |= more

    def brought(self, groups: Sequence[OptionGroup]) -> tuple[Option, ...]:
        """Return the options outside ``groups`` whose value differs from the good end."""
        landed = self.land(groups)
        if landed is None:
            return ()
        own = {option.name for group in landed.groups for option in group.options}
        values, before = landed.values, self._low
        return tuple(
            Option(name, values.get(name, "n"), "Kconfig")
            for name in sorted({*values, *before} - own)
            if not same(values.get(name, "n"), before.get(name, "n"))
        )


def minimize(space: ConfigSpace, test: Callable[[Candidate], Call]) -> MinimalOptions:
    """Find the smallest set of options; the ends must have been tested.

    Identical configurations are tested once.
    """
    calls = {_digest(space.good): Call.GOOD, _digest(space.bad): Call.BAD}
    ends_tested = len(calls)

    def call(groups: Sequence[OptionGroup], close: bool = True) -> Call:
        candidate = space.candidate(groups, close=close)
        if candidate is None:
            return Call.SKIP
        if _digest(candidate) not in calls:
            calls[_digest(candidate)] = test(candidate)
        return calls[_digest(candidate)]

    first = ddmin.minimal(space.groups, call)
    landed = space.land(first.kept)
    # A group that was added as a dependency may be enough by itself.
    smallest = ddmin.minimal(
        landed.groups if landed else (), lambda groups: call(groups, close=False)
    )
    unsure = tuple(
        group.name
        for group in smallest.unsure
        if space.land([other for other in smallest.kept if other != group], close=False)
    )
    return MinimalOptions(
        tuple(option for group in smallest.kept for option in group.options),
        space.brought(smallest.kept),
        unsure,
        len(calls) - ends_tested,
    )


def depends(option: Option, kconfigs: reader.KconfigOptions, values: Mapping[str, str]) -> set[str]:
    """Return the options that prevent ``option`` from landing.  Pure.

    If it should be on, these are the options in its unmet dependencies; if it should be off, those
    that select it.
    """
    if option.value == "n":
        selectors = {entry.name for entry, _ in kconfigs.selectors(option.name)}
        return {name for name in selectors if values.get(name) in ("y", "m")}
    need = 2 if option.value == "y" else 1
    conditions = (
        condition
        for entry in kconfigs.entries.get(option.name, ())
        for condition in (*entry.depends, *(entry.visible or ()))
    )
    return {
        name
        for condition in conditions
        for part in unmet(condition, values, need)
        for name in names(part)
    }


def _digest(candidate: Candidate) -> str:
    return candidate.request.digest if candidate.request else ""


def _grouped(options: Iterable[Option], kconfigs: reader.KconfigOptions) -> tuple[OptionGroup, ...]:
    """Group the options: the members of a choice only change together."""
    groups: dict[object, list[Option]] = {}
    for option in options:
        entries = kconfigs.entries.get(option.name, ())
        choice = next((entry.choice for entry in entries if entry.choice), None)
        groups.setdefault(choice or option.name, []).append(option)
    return tuple(OptionGroup(tuple(group)) for group in groups.values())
