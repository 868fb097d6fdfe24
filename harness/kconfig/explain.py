# SPDX-License-Identifier: GPL-2.0-only
"""Say why a requested option did not land, from the tree's Kconfig and the .config that landed."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import architectures
from harness.kconfig import reader
from harness.kconfig.compare import Difference, values
from harness.kconfig.expression import LEVELS, Expression, doubtful, level, names, show, unmet


@dataclasses.dataclass(frozen=True)
class Why:
    """A reason, and what to try (empty when there is nothing sensible)."""

    text: str
    hint: str = ""


def explain(source: Path, missing: Sequence[Difference], config: str, arch: str) -> list[Why]:
    """Give the reason of each difference, in order.  Reads all of Kconfig, which takes seconds."""
    known = reader.options(source, architectures.named(arch).folder)
    return [reason(difference, known, values(config)) for difference in missing]


def reason(difference: Difference, known: reader.Options, got: Mapping[str, str]) -> Why:
    """Give the reason of one difference.  Pure."""
    option = difference.option
    entries = known.entries.get(option.name)
    if not entries:
        return _unknown(option.name, known)
    for found in (
        _wrong_kind(difference, entries, got),
        _other_choice(difference, known, entries, got),
        _held(difference, known, entries, got),
        _held_back(difference, known, entries, got),
        _no_prompt(difference, known, entries, got),
    ):
        if found:
            return found
    for part in (p for entry in entries for d in entry.depends for p in doubtful(d, got)):
        return Why(f"depends on {_told(part, got)}")
    return Why(f"Kconfig decided otherwise, see {entries[0].where}")


def _unknown(name: str, known: reader.Options) -> Why:
    near = difflib.get_close_matches(name, known.entries, 3, 0.75)
    hint = f"perhaps {', '.join(near)}" if near else "drop it, or choose a tree that has it"
    return Why("this tree has no such option", hint)


def _wrong_kind(
    difference: Difference, entries: Sequence[reader.Entry], got: Mapping[str, str]
) -> Why | None:
    """The value does not fit the option's type or range."""
    kind = next((entry.kind for entry in entries if entry.kind), "")
    value = difference.option.value
    fits = {
        "bool": value in ("y", "n"),
        "tristate": value in LEVELS,
        "int": value.lstrip("-").isdigit(),
        "hex": value.startswith(("0x", "0X")) or value.isdigit(),
        "string": value.startswith('"'),
    }
    if value == "n" or fits.get(kind, True):
        return _out_of_range(value, entries, got) if kind in ("int", "hex") else None
    return Why(f"it is of type {kind}, and {value} is no {kind}")


def _out_of_range(
    value: str, entries: Sequence[reader.Entry], got: Mapping[str, str]
) -> Why | None:
    for link in (link for entry in entries for link in entry.ranges):
        if _below(link.condition, got, 1):
            continue
        low, _, high = (got.get(word, word) for word in link.text.partition(" "))
        try:
            if not int(low, 0) <= int(value, 0) <= int(high, 0):
                return Why(f"it must be in the range {low} to {high}")
        except ValueError:
            continue  # a limit that this .config gives no number
    return None


def _other_choice(
    difference: Difference,
    known: reader.Options,
    entries: Sequence[reader.Entry],
    got: Mapping[str, str],
) -> Why | None:
    """It is one of a choice, and another one of it is on (or must be, when this is to be off)."""
    choice = next((entry.choice for entry in entries if entry.choice), None)
    if choice is None or _unmet(entries, got, 1):
        return None
    members = [
        name for name, each in known.entries.items() if any(e.choice == choice for e in each)
    ]
    if difference.option.value == "n":
        others = ", ".join(name for name in members if name != difference.option.name)
        return Why(f"it is the chosen one of a choice; another must be chosen: {others}")
    chosen = [name for name in members if got.get(name) == "y"]
    return Why(f"it is one of a choice, and {chosen[0]} was chosen") if chosen else None


def _held(
    difference: Difference,
    known: reader.Options,
    entries: Sequence[reader.Entry],
    got: Mapping[str, str],
) -> Why | None:
    """It is higher than asked: something selects it, or it cannot be turned off."""
    if _rank(difference.got) <= _rank(difference.option.value):
        return None
    name = difference.option.name
    selectors = [
        entry.name
        for entry, link in known.selectors(name)
        if got.get(entry.name) in ("y", "m") and not _below(link.condition, got, 1)
    ]
    if selectors:
        by = ", ".join(dict.fromkeys(selectors))
        return Why(f"selected by {by}", f"turn off {selectors[0]}, or leave {name} on")
    if difference.option.value == "m" and got.get("MODULES") != "y":
        return Why("m needs MODULES, which is n", f"ask for CONFIG_{name}=y")
    if all(entry.visible is None for entry in entries):
        return Why(f"it has no prompt and is on by default ({entries[0].where})", "drop it")
    closed = [part for e in entries for v in e.visible or () for part in unmet(v, got)]
    if closed:
        return Why(f"it is on by default and can only be changed with {_told(closed[0], got)}")
    return None


def _held_back(
    difference: Difference,
    known: reader.Options,
    entries: Sequence[reader.Entry],
    got: Mapping[str, str],
) -> Why | None:
    """It is lower than asked: a dependency is not met."""
    # Only a tristate that is to be y needs y; everything else is content with m.
    tristate = any(entry.kind == "tristate" for entry in entries)
    parts = _unmet(entries, got, 2 if tristate and difference.option.value == "y" else 1)
    if not parts:
        return None
    askable = (
        name
        for part in parts
        for name in names(part)
        if any(entry.visible is not None for entry in known.entries.get(name, ()))
    )
    wanted = next((name for name in askable if got.get(name) != "y"), "")
    hint = f"ask for CONFIG_{wanted}=y as well" if wanted else ""
    return Why("depends on " + "; and on ".join(_told(part, got) for part in parts), hint)


def _no_prompt(
    difference: Difference,
    known: reader.Options,
    entries: Sequence[reader.Entry],
    got: Mapping[str, str],
) -> Why | None:
    """It cannot be asked for: it has no prompt, or none that is visible now."""
    closed = [p for e in entries if e.visible is not None for v in e.visible for p in unmet(v, got)]
    if closed:
        return Why(f"it can only be changed with {_told(closed[0], got)}")
    if any(entry.visible is not None for entry in entries):
        return None
    selectors = list(dict.fromkeys(e.name for e, _ in known.selectors(difference.option.name)))
    if not selectors:
        return Why("it has no prompt, so it cannot be asked for", "drop it")
    some = ", ".join(selectors[:4]) + (", ..." if len(selectors) > 4 else "")
    return Why(f"it has no prompt; it comes with {some}", f"ask for {selectors[0]} instead")


def _unmet(entries: Sequence[reader.Entry], got: Mapping[str, str], need: int) -> list[Expression]:
    """Give the unmet dependencies of the definition that misses fewest."""
    each = [
        list(dict.fromkeys(p for d in entry.depends for p in unmet(d, got, need)))
        for entry in entries
    ]
    return min(each, key=len)


def _below(conditions: Sequence[Expression], got: Mapping[str, str], need: int) -> bool:
    found = [level(condition, got) for condition in conditions]
    return any(value is not None and value < need for value in found)


def _told(part: Expression, got: Mapping[str, str]) -> str:
    """Write a condition with the values that make it fail."""
    if reader.is_macro(part):
        return f"{show(part)}, which this compiler does not satisfy"
    mentioned = list(dict.fromkeys(names(part)))
    if [show(part)] == mentioned:
        return f"{mentioned[0]}, which is {got.get(mentioned[0], 'n')}"
    is_what = ", ".join(f"{name} is {got.get(name, 'n')}" for name in mentioned)
    return f"{show(part)} ({is_what})" if is_what else show(part)


def _rank(value: str) -> int:
    return LEVELS.get(value, 2)
