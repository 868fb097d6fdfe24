# SPDX-License-Identifier: GPL-2.0-only
"""Choose options, with all that they depend on, so that a condition holds in the next .config.

The search starts from the values of a real .config, so that nothing has to be evaluated that the
tree's own tools know better.  It prefers few new options, and never contradicts a request.  It may
err (a default may depend on something that changes): the resulting .config is compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from harness.kbuild.expression import LEVELS, Expression, Name, Not, Pair, level, names, show
from harness.kconfig.reader import Conditional, KconfigEntry, KconfigOptions

_DEPTH = 24  # of dependencies of dependencies
_CANDIDATES = 6  # alternatives that are tried, of those that select an option
# Options that change much of the kernel: they are chosen only if nothing else will do.
_HEAVY = {"COMPILE_TEST": 8, "EXPERT": 4, "NUMA": 2}
# A symbol that Kconfig sets to the version of a program, 0 without it.
_PROGRAMS = {"PAHOLE_VERSION": "pahole"}
# Options with which every object is another one, and a guest slower: never added unasked.
_WHOLE_KERNEL = frozenset(
    [
        "KASAN",
        "KMSAN",
        "KCSAN",
        "UBSAN",
        "KCOV",
        "GCOV_KERNEL",
        "LOCKDEP",
        "PROVE_LOCKING",
        "DEBUG_LOCK_ALLOC",
        "LOCK_STAT",
        "DEBUG_KMEMLEAK",
        "DEBUG_PAGEALLOC",
        "FUNCTION_TRACER",
        "TRACE_BRANCH_PROFILING",
        "PREEMPT_RT",
        "MODULES",
        "MODVERSIONS",
        "LTO_CLANG",
        "CFI",
        "SMP",
    ]
)


@dataclasses.dataclass(frozen=True)
class CannotHave:
    """Why a condition cannot be met."""

    why: str


@dataclasses.dataclass(frozen=True)
class NewValues:
    """New values of options, in the order in which they are needed."""

    new: tuple[tuple[str, str], ...] = ()

    @property
    def cost(self) -> int:
        """How much the configuration changes."""
        return sum(1 + _HEAVY.get(name, 0) for name, _ in self.new)

    def having(self, name: str, value: str) -> NewValues:
        """Return the choice with one more value."""
        kept = tuple(pair for pair in self.new if pair[0] != name)
        return NewValues((*kept, (name, value)))


Result = NewValues | CannotHave
Trail = tuple[str, ...]  # the options that depend on the one in question


@dataclasses.dataclass(frozen=True)
class Chooser:
    """Chooses options of ``options``; ``config`` are the values without them.

    ``requested`` are values that must not change.
    """

    options: KconfigOptions
    config: Mapping[str, str]
    requested: Mapping[str, str]
    arch: str

    def choose(self, condition: Expression, start: NewValues) -> Result:
        """Return ``start`` with the options for a condition; built in, or as a module if needed."""
        built_in = self._meet(condition, 2, start, ())
        if isinstance(built_in, NewValues):
            return self._held(condition, built_in)
        if self._value("MODULES", start) != "y":
            return built_in
        as_module = self._meet(condition, 1, start, ())
        return as_module if isinstance(as_module, NewValues) else built_in

    def _held(self, condition: Expression, choice: NewValues) -> NewValues:
        """Keep the options off that a condition needs off, so that no later one turns them on."""
        match condition:
            case Pair("&&", left, right):
                return self._held(right, self._held(left, choice))
            case Not(Name(name)) if self._value(name, choice) == "n":
                return choice.having(name, "n")
        return choice

    def _values(self, choice: NewValues) -> Mapping[str, str]:
        return {**self.config, **dict(choice.new)} if choice.new else self.config

    def _value(self, name: str, choice: NewValues) -> str:
        return dict(choice.new).get(name) or self.config.get(name, "n")

    def _meet(self, wanted: Expression, need: int, choice: NewValues, trail: Trail) -> Result:
        """Extend the choice so that an expression is at least ``need``."""
        now = level(wanted, self._values(choice))
        if now is None or now >= need:
            return choice
        match wanted:
            case Name(name):
                return self._raise(name, need, choice, trail)
            case Not(inner):
                return self._deny(inner, need, choice, trail)
            case Pair("&&", left, right):
                half = self._meet(left, need, choice, trail)
                if isinstance(half, CannotHave):
                    return half
                return self._meet(right, need, half, trail)
            case Pair("||", left, right):
                return _cheapest(self._meet(side, need, choice, trail) for side in (left, right))
            case Pair("=", Name(name), Name(value)) if value in LEVELS:
                return self._set(name, value, choice, trail)
            case Pair("!=", Name(name), Name("n")):
                return self._raise(name, 1, choice, trail)
        return CannotHave(f"it needs {show(wanted)}{self._missing_program(wanted)}")

    def _missing_program(self, wanted: Expression) -> str:
        """Return how to get the program whose version a condition tests; "" if it is there."""
        programs = (_PROGRAMS[name] for name in names(wanted) if self._is_missing(name))
        return "".join(f": {name} is not installed, harness setup {name}" for name in programs)

    def _is_missing(self, name: str) -> bool:
        return name in _PROGRAMS and self.config.get(name, "0") == "0"

    def _deny(self, inner: Expression, need: int, choice: NewValues, trail: Trail) -> Result:
        """Extend the choice so that an expression is at most 2 - ``need``."""
        match inner:
            case Name(name):
                return self._set(name, "n", choice, trail)
            case Not(double):
                return self._meet(double, need, choice, trail)
            case Pair("||", left, right):
                return self._meet(Pair("&&", Not(left), Not(right)), need, choice, trail)
            case Pair("&&", left, right):
                return self._meet(Pair("||", Not(left), Not(right)), need, choice, trail)
        return CannotHave(f"it needs {show(Not(inner))}")

    def _set(self, name: str, value: str, choice: NewValues, trail: Trail) -> Result:
        """Extend the choice so that an option has exactly this value."""
        if value != "n":
            return self._raise(name, LEVELS[value], choice, trail)
        if contradiction := self._contradiction(name, "n"):
            return contradiction
        if name in dict(choice.new):
            return CannotHave(f"it needs {name} to be off, and other lines need it on")
        if not any(entry.visible is not None for entry in self.options.entries.get(name, ())):
            return CannotHave(f"{name} is on, and cannot be turned off")
        values = self._values(choice)
        if any(values.get(entry.name) in ("y", "m") for entry, _ in self.options.selectors(name)):
            return CannotHave(f"{name} is on, because another option selects it")
        return choice.having(name, "n")

    def _contradiction(self, name: str, value: str) -> CannotHave | None:
        requested = self.requested.get(name)
        if requested is None or requested == value:
            return None
        return CannotHave(f"it needs CONFIG_{name}={value}, and {requested} was requested")

    def _raise(self, name: str, need: int, choice: NewValues, trail: Trail) -> Result:
        """Extend the choice so that an option is at least ``need``."""
        entries = self.options.entries.get(name)
        if not entries:
            return CannotHave(f"{self.arch} has no option {name}")
        if name in trail or len(trail) >= _DEPTH:
            return CannotHave(f"{name} depends on itself")
        if LEVELS.get(self._value(name, choice), 0) >= need:
            return choice
        kind = next((entry.type for entry in entries if entry.type), "")
        result = self._turn_on(name, "y", choice, trail)
        modules = self._value("MODULES", choice) == "y"
        if isinstance(result, CannotHave) and need == 1 and kind == "tristate" and modules:
            as_module = self._turn_on(name, "m", choice, trail)
            return as_module if isinstance(as_module, NewValues) else result
        return result

    def _turn_on(self, name: str, value: str, choice: NewValues, trail: Trail) -> Result:
        entries, need = self.options.entries[name], LEVELS[value]
        if contradiction := self._contradiction(name, value):
            return contradiction
        if dict(choice.new).get(name) == "n":
            return CannotHave(f"it needs {name} to be on, and other lines need it off")
        if name in _WHOLE_KERNEL:
            return CannotHave(f"{name} changes the whole kernel: to have it, request it")
        inner = (*trail, name)
        ways = list(self._ways(name, entries, value, choice, inner))
        ways += self._by_selectors(name, need, choice, inner)
        if not ways:
            return CannotHave(f"{name} has no prompt, and nothing selects it")
        return _cheapest(ways)

    def _ways(
        self,
        name: str,
        entries: Iterable[KconfigEntry],
        value: str,
        choice: NewValues,
        trail: Trail,
    ) -> Iterator[Result]:
        """Yield how each definition of an option can be turned on: by its prompt, or a default."""
        for entry in entries:
            # A bool is on if a dependency is m; only a tristate that shall be y needs y.
            need = 2 if value == "y" and entry.type in ("tristate", "") else 1
            base = self._all(entry.depends, need, choice, trail)
            if isinstance(base, CannotHave):
                yield CannotHave(base.why if base.why.startswith(name) else f"{name}: {base.why}")
                continue
            if entry.visible is not None:
                shown = self._all(entry.visible, 1, base, trail)
                if isinstance(shown, NewValues):
                    yield self._in_choice(entry, shown).having(name, value)
                continue  # an option with a prompt starts off, whatever its default is
            for default in entry.defaults:
                yield self._by_default(default, base, trail)

    def _by_default(self, default: Conditional, base: NewValues, trail: Trail) -> Result:
        from_ = Name(default.text)
        if default.text == "n" or len(default.text.split()) != 1:
            return CannotHave("its default is n")
        met = self._all(default.condition, 1, base, trail)
        return met if isinstance(met, CannotHave) else self._meet(from_, 1, met, trail)

    def _in_choice(self, entry: KconfigEntry, choice: NewValues) -> NewValues:
        """Turn off the member of the entry's choice that is on, unless it was just chosen."""
        for member in self.options.members(entry.choice) if entry.choice else ():
            if member != entry.name and member not in self.requested:
                choice = NewValues(tuple(pair for pair in choice.new if pair[0] != member))
        return choice

    def _by_selectors(
        self, name: str, need: int, choice: NewValues, trail: Trail
    ) -> Iterator[Result]:
        """Yield how options that select this one can be turned on: those that lack least."""
        values = self._values(choice)

        def lacking(pair: tuple[KconfigEntry, Conditional]) -> tuple[int, int]:
            entry, select = pair
            conditions = [*entry.depends, *select.condition]
            unmet = sum((level(part, values) or 0) < 1 for part in conditions)
            heavy = sum(_HEAVY.get(other, 0) for part in conditions for other in names(part))
            # Among equals, FOO_I2C is more likely to need FOO than a board with it.
            alike = sum(a == b for a, b in zip(entry.name, name, strict=False))
            return unmet + heavy + (entry.visible is None) * 2, -alike

        pairs = [p for p in self.options.selectors(name) if p[0].name not in self._off]
        for entry, select in sorted(pairs, key=lacking)[:_CANDIDATES]:
            met = self._all(select.condition, need, choice, trail)
            if isinstance(met, NewValues):
                yield self._raise(entry.name, need, met, trail)

    @property
    def _off(self) -> set[str]:
        return {name for name, value in self.requested.items() if value == "n"}

    def _all(
        self, parts: Iterable[Expression], need: int, choice: NewValues, trail: Trail
    ) -> Result:
        result: Result = choice
        for part in parts:
            if isinstance(result, CannotHave):
                return result
            result = self._meet(part, need, result, trail)
        return result


def _cheapest(results: Iterable[Result]) -> Result:
    """Return the choice with the fewest changes; without any, the first refusal."""
    refusal: CannotHave | None = None
    best: NewValues | None = None
    for result in results:
        if isinstance(result, CannotHave):
            refusal = refusal or result
        elif best is None or result.cost < best.cost:
            best = result
    return best or refusal or CannotHave("there is no alternative")
