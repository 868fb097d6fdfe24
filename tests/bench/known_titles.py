# SPDX-License-Identifier: GPL-2.0-only
"""Measure the splat parser on logs whose crashes have known titles, and how its rules generalise.

    python tests/bench/known_titles.py FOLDER [--hold-out SEED]...

FOLDER holds logs and expected.json: for each log the titles that count, none if nothing is wrong in
it, and whether the log is too corrupted for a title.  With --hold-out, half of the logs are chosen,
the names of functions that none of them needs but another log does are removed from the lists, and
the titles of the other logs are counted.  That is less than a new log may expect, since most of
these names would be listed without any log.  It is more if only the groups are removed of which
no chosen log needs a name: as if each group that anybody thought of were complete.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from harness.splat import digest, find, function_groups
from harness.splat.function_groups import FunctionGroup

#: A name in a list of functions, with the group's name.
Entry = tuple[str, str]


class Lists:
    """Stands for the patterns of the groups: without some entries, and noting which match."""

    def __init__(self) -> None:
        self.removed: frozenset[Entry] = frozenset()
        self.used: set[Entry] = set()
        function_groups._pattern = self.pattern  # type: ignore[assignment]

    def pattern(self, groups: tuple[FunctionGroup, ...]) -> _Matcher:
        return _Matcher(self, groups)


class _Matcher:
    def __init__(self, lists: Lists, groups: tuple[FunctionGroup, ...]) -> None:
        self.lists, self.groups = lists, groups

    def match(self, name: str) -> object:
        entries = frozenset().union(*(_entries(group, name) for group in self.groups))
        self.lists.used |= entries
        return entries - self.lists.removed or None


@functools.cache
def _patterns(group: FunctionGroup) -> list[tuple[Entry, re.Pattern[str]]]:
    return [
        ((group.name, name), function_groups._pattern_of((name,)))
        for name in group.functions.split()
    ]


@functools.cache
def _entries(group: FunctionGroup, name: str) -> frozenset[Entry]:
    return frozenset(entry for entry, pattern in _patterns(group) if pattern.match(name))


class Logs:
    """The logs of a folder, and what counts as right for each."""

    def __init__(self, folder: Path) -> None:
        self.expected = json.loads((folder / "expected.json").read_text())
        texts = {name: (folder / name).read_text(errors="replace") for name in self.expected}
        self.lines = {name: text.split("\n") for name, text in texts.items()}
        self.titled = [n for n, e in self.expected.items() if e["titles"] and not e["corrupted"]]

    def found(self, name: str) -> list[str]:
        digest._digest.cache_clear()
        return [splat.title for splat in find(self.lines[name])]

    def right(self, name: str) -> bool:
        return self.found(name)[:1] in [[title] for title in self.expected[name]["titles"]]


def measure(logs: Logs) -> None:
    found = {name: logs.found(name) for name in logs.expected}
    crashes = [name for name, each in logs.expected.items() if each["titles"]]
    alarms = [name for name in found if name not in crashes and found[name]]
    missed = [name for name in crashes if not found[name]]
    wrong = [name for name in logs.titled if not logs.right(name)]
    for name in (*alarms, *missed, *wrong):
        print(f"{name}: {found[name][:1]}, expected {logs.expected[name]['titles'][:1]}")
    print(f"crashes found: {len(crashes) - len(missed)} of {len(crashes)}")
    print(f"first title is one of the known: {len(logs.titled) - len(wrong)} of {len(logs.titled)}")
    print(f"alarms in logs where nothing is wrong: {len(alarms)}")


def needs(logs: Logs, lists: Lists) -> dict[Entry, set[str]]:
    """Return the logs whose title becomes wrong without an entry."""
    needed = collections.defaultdict[Entry, set[str]](set)
    for name in filter(logs.right, logs.titled):
        lists.used.clear()
        logs.found(name)
        for entry in tuple(lists.used):
            lists.removed = frozenset([entry])
            if not logs.right(name):
                needed[entry].add(name)
            lists.removed = frozenset()
    return needed


def hold_out(logs: Logs, seeds: Sequence[int]) -> None:
    lists = Lists()
    needed = needs(logs, lists)
    alone = [entry for entry, names in needed.items() if len(names) == 1]
    dependent = set().union(*(needed[entry] for entry in alone))
    print(f"names that some log needs: {len(needed)}, that only one needs: {len(alone)}")
    print(f"logs that need a name which no other needs: {len(dependent)} of {len(logs.titled)}")
    for seed in seeds:
        half = set(random.Random(seed).sample(logs.titled, len(logs.titled) // 2))
        others = [name for name in logs.titled if name not in half]
        lost = frozenset(entry for entry, names in needed.items() if not names & half)
        groups = {group for group, _ in lost} - {group for group, _ in set(needed) - lost}
        without = []
        for removed in (lost, frozenset(entry for entry in lost if entry[0] in groups)):
            lists.removed = removed
            without.append(sum(map(logs.right, others)))
        print(
            f"seed {seed}, {len(others)} logs: {without[0]} right without {len(lost)} names, "
            f"{without[1]} without {len(groups)} groups"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hold-out", type=int, action="append", default=[], metavar="SEED")
    arguments = parser.parse_args()
    measure(Logs(arguments.folder))
    if arguments.hold_out:
        hold_out(Logs(arguments.folder), arguments.hold_out)
