# SPDX-License-Identifier: GPL-2.0-only
"""Explain why a requested option did not take effect, from the tree's Kconfig and the .config."""

from __future__ import annotations

import dataclasses
import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import architectures
from harness.kbuild.expression import LEVELS, Expression, doubtful, level, names, show, unmet
from harness.kconfig import reader
from harness.kconfig.fragment import ConfigDifference, values
from harness.kconfig.reader import KconfigEntry, KconfigOptions

_MODULES = "request CONFIG_MODULES=y as well (--kconfig modules)"


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why an option did not take effect, and what to try (empty if nothing would help)."""

    text: str
    hint: str = ""


@dataclasses.dataclass(frozen=True)
class _Case:
    """A difference to explain: the option's definitions, all of Kconfig, and the .config."""

    difference: ConfigDifference
    entries: Sequence[KconfigEntry]
    options: KconfigOptions
    config: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.difference.option.name

    @property
    def value(self) -> str:
        """The requested value."""
        return self.difference.option.value

    @property
    def has_prompt(self) -> bool:
        return any(entry.visible is not None for entry in self.entries)

    def hidden_by(self) -> Expression | None:
        """Return a condition that hides the option's prompt."""
        hiding = (
            part
            for entry in self.entries
            for condition in entry.visible or ()
            for part in unmet(condition, self.config)
        )
        return next(hiding, None)

    def unmet_dependencies(self, need: int) -> list[Expression]:
        """Return the unmet dependencies of the definition with the fewest of them."""
        by_entry = [
            list(dict.fromkeys(p for d in entry.depends for p in unmet(d, self.config, need)))
            for entry in self.entries
        ]
        return min(by_entry, key=len)

    def holds(self, conditions: Sequence[Expression]) -> bool:
        """Whether conditions are met, or depend on the compiler."""
        levels = [level(condition, self.config) for condition in conditions]
        return all(value is None or value >= 1 for value in levels)

    def shown(self, part: Expression) -> str:
        """Format a condition with the values that make it fail."""
        if reader.is_macro(part):
            return f"{show(part)}, which this compiler does not satisfy"
        mentioned = list(dict.fromkeys(names(part)))
        if [show(part)] == mentioned:
            return f"{mentioned[0]}, which is {self.config.get(mentioned[0], 'n')}"
        is_what = ", ".join(f"{name} is {self.config.get(name, 'n')}" for name in mentioned)
        return f"{show(part)} ({is_what})" if is_what else show(part)


def explain(
    source: Path, missing: Sequence[ConfigDifference], config: str, arch: str
) -> list[Reason]:
    """Return a reason for each difference, in order.  Takes seconds: it reads all of Kconfig."""
    options = reader.read_kconfig(source, architectures.named(arch).folder)
    return [reason(difference, options, values(config)) for difference in missing]


def best_hint(reasons: Sequence[Reason]) -> str:
    """Return the hint that helps most options; of several the first."""
    hints = Counter(reason.hint for reason in reasons if reason.hint)
    return next((hint for hint, _ in hints.most_common(1)), "")


def reason(
    difference: ConfigDifference, options: KconfigOptions, config: Mapping[str, str]
) -> Reason:
    """Return the reason for one difference; ``config`` has the values in the .config."""
    entries = options.entries.get(difference.option.name)
    if not entries:
        return _unknown(difference.option.name, options)
    case = _Case(difference, entries, options, config)
    for rule in (_wrong_type, _out_of_range, _other_choice, _held_up, _held_down, _no_prompt):
        if explanation := rule(case):
            return explanation
    for part in (p for entry in entries for d in entry.depends for p in doubtful(d, config)):
        return Reason(f"depends on {case.shown(part)}")
    return Reason(f"Kconfig set it differently, see {entries[0].where}")


def _unknown(name: str, options: KconfigOptions) -> Reason:
    near = difflib.get_close_matches(name, options.entries, 3, 0.75)
    hint = f"perhaps {', '.join(near)}" if near else "drop it, or choose a tree that has it"
    return Reason("this tree has no such option", hint)


def _type(case: _Case) -> str:
    return next((entry.type for entry in case.entries if entry.type), "")


def _wrong_type(case: _Case) -> Reason | None:
    """The value does not fit the option's type."""
    fits = {
        "bool": case.value in ("y", "n"),
        "tristate": case.value in LEVELS,
        "int": case.value.lstrip("-").isdigit(),
        "hex": case.value.startswith(("0x", "0X")) or case.value.isdigit(),
        "string": case.value.startswith('"'),
    }
    if case.value == "n" or fits.get(_type(case), True):
        return None
    return Reason(f"it is of type {_type(case)}, and {case.value} is not")


def _out_of_range(case: _Case) -> Reason | None:
    if _type(case) not in ("int", "hex"):
        return None
    for limit in (limit for entry in case.entries for limit in entry.ranges):
        if not case.holds(limit.condition):
            continue
        low, _, high = (case.config.get(word, word) for word in limit.text.partition(" "))
        try:
            if not int(low, 0) <= int(case.value, 0) <= int(high, 0):
                return Reason(f"it must be in the range {low} to {high}")
        except ValueError:
            continue  # a limit without a numeric value in this .config
    return None


def _other_choice(case: _Case) -> Reason | None:
    """The option is in a choice, and another member is on (or must be, to turn this one off)."""
    choice = next((entry.choice for entry in case.entries if entry.choice), None)
    if choice is None or case.unmet_dependencies(1):
        return None
    members = [
        name
        for name, entries in case.options.entries.items()
        if any(entry.choice == choice for entry in entries)
    ]
    if case.value == "n":
        others = ", ".join(name for name in members if name != case.name)
        return Reason(f"it is the selected member of a choice; select another: {others}")
    chosen = [name for name in members if case.config.get(name) == "y"]
    return Reason(f"it is a member of a choice, and {chosen[0]} was selected") if chosen else None


def _held_up(case: _Case) -> Reason | None:
    """The option is higher than requested: something selects it, or it cannot be turned off."""
    if LEVELS.get(case.difference.got, 2) <= LEVELS.get(case.value, 2):
        return None
    selectors = [
        entry.name
        for entry, select in case.options.selectors(case.name)
        if case.config.get(entry.name) in ("y", "m") and case.holds(select.condition)
    ]
    if selectors:
        by = ", ".join(dict.fromkeys(selectors))
        return Reason(f"selected by {by}", f"turn off {selectors[0]}, or leave {case.name} on")
    if case.value == "m" and case.config.get("MODULES") != "y":
        return Reason("m needs MODULES, which is n", _MODULES)
    if not case.has_prompt:
        where = case.entries[0].where
        return Reason(f"it has no prompt and is on by default ({where})", "drop it")
    if hidden := case.hidden_by():
        return Reason(f"it is on by default and can only be changed with {case.shown(hidden)}")
    return None


def _held_down(case: _Case) -> Reason | None:
    """The option is lower than requested: a dependency is not met."""
    # Only a tristate that should be y needs y; for everything else m is enough.
    tristate = any(entry.type == "tristate" for entry in case.entries)
    parts = case.unmet_dependencies(2 if tristate and case.value == "y" else 1)
    if not parts:
        return None
    entries = case.options.entries
    with_prompt = (
        name
        for part in parts
        for name in names(part)
        if any(entry.visible is not None for entry in entries.get(name, ()))
    )
    wanted = next((name for name in with_prompt if case.config.get(name) != "y"), "")
    hint = f"request CONFIG_{wanted}=y as well" if wanted else ""
    return Reason("depends on " + "; and on ".join(map(case.shown, parts)), hint)


def _no_prompt(case: _Case) -> Reason | None:
    """The option cannot be requested: it has no prompt, or no visible one."""
    if hidden := case.hidden_by():
        return Reason(f"it can only be changed with {case.shown(hidden)}")
    if case.has_prompt:
        return None
    selectors = list(dict.fromkeys(e.name for e, _ in case.options.selectors(case.name)))
    if not selectors:
        return Reason("it has no prompt, so it cannot be requested", "drop it")
    shown = ", ".join(selectors[:4]) + (", ..." if len(selectors) > 4 else "")
    return Reason(f"it has no prompt; it is selected by {shown}", f"request {selectors[0]} instead")
