# SPDX-License-Identifier: GPL-2.0-only
"""Read the requested options, from fragments and assignments, and compare them with a .config."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import harness
from harness.errors import UsageError
from harness.model import Option, Request

COMMAND_LINE = "command line"
SUFFIX = ".config"
_FRAGMENT_HINT = "name one of the harness's fragments, or give the path of a file"

_SET = re.compile(r"^CONFIG_(\w+)=(\S.*?)\s*$")
_NOT_SET = re.compile(r"^# CONFIG_(\w+) is not set\s*$")
_VALUE = re.compile(r'^(?:[ymn]|-?\d+|0[xX][0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$')
_ARGUMENT = re.compile(r"^(?:CONFIG_)?(\w+)=(.*)$", re.DOTALL)
_WHY = re.compile(r"^#\s*why\b:?\s*(.*)$", re.IGNORECASE)
_CONFIG_LINE = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class ConfigDifference:
    """An option that did not take effect: ``got`` is its value in the .config, "n" if unset."""

    option: Option
    got: str

    def __str__(self) -> str:
        requested = f"CONFIG_{self.option.name}={self.option.value} was requested"
        got = "not set" if self.got == "n" else self.got
        return f"{requested} ({self.option.origin}) but is {got}"


def request(
    fragments: Sequence[str | Path],
    assignments: Sequence[str],
    folders: Sequence[Path],
    arch: str = "x86_64",
) -> Request:
    """Read fragments (names or files) and ``X=y`` assignments into one Request.

    Names are looked up in ``folders``, in ./kconfigs and among the harness's own fragments; besides
    NAME.config, NAME.<arch>.config is read too, if it exists.  Assignments override fragments.
    In a file the last line wins.  Raises UsageError for an unknown name, a line that is not an
    option, and conflicting values of two files or on the command line.
    """
    assigned = _agreed(_assignment(text) for text in assignments)
    options = [
        option
        for file in _every_file(fragments, folders, arch)
        for option in {option.name: option for option in parse(_text(file), str(file))}.values()
    ]
    requested = _agreed(option for option in options if option.name not in assigned)
    return Request((*requested.values(), *assigned.values()))


def overridden(
    fragments: Sequence[str | Path], folders: Sequence[Path], arch: str = "x86_64"
) -> list[str]:
    """Return a note for each option that one file sets twice: the last line wins, as in Kconfig."""
    notes = []
    for file in _every_file(fragments, folders, arch):
        before: dict[str, Option] = {}
        for option in parse(_text(file), str(file)):
            first = before.get(option.name, option)
            if not same(first.value, option.value):
                notes.append(
                    f"CONFIG_{option.name} is {first.value} in {first.origin} and {option.value} in"
                    f" {option.origin}; the last line of a file wins"
                )
            before[option.name] = option
    return notes


def parse(text: str, where: str) -> list[Option]:
    """Parse the text of a fragment.

    A comment that starts with "why" is the reason for the options below it, up to an empty line.
    Raises UsageError.
    """
    options: list[Option] = []
    reason: list[str] = []
    in_comment = False
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SET.match(line) or _NOT_SET.match(line):
            value = match[2] if match.re is _SET else "n"
            origin = f"{where}:{number}"
            if not _VALUE.match(value):
                raise UsageError(
                    f"{origin}: {value} is not a value of an option",
                    hint='a value is y, m, n, a number, or a string in double quotes ("...")',
                )
            options.append(Option(match[1], value, origin, " ".join(filter(None, reason))))
            in_comment = False
        elif line.startswith("#"):
            if why := _WHY.match(line):
                reason = [why[1]]
                in_comment = True
            elif in_comment:
                reason.append(line.lstrip("# \t"))
        elif not line.strip():
            reason, in_comment = [], False
        else:
            raise UsageError(
                f"{where}:{number}: not an option: {line.strip()}",
                hint="write CONFIG_NAME=value, or # CONFIG_NAME is not set",
            )
    return options


def available(folders: Sequence[Path]) -> list[str]:
    """Return the names of all fragments that can be requested."""
    names = {
        file.name.removesuffix(SUFFIX)
        for folder in _search_path(folders)
        if folder.is_dir()
        for file in folder.glob(f"*{SUFFIX}")
    }
    return sorted(name for name in names if "." not in name)


def values(config: str) -> dict[str, str]:
    """Parse the text of a .config (or of /proc/config.gz): name to value, without unset options."""
    return dict(_CONFIG_LINE.findall(config))


def compare(request: Request, config_text: str) -> list[ConfigDifference]:
    """Return requested options that have another value in ``config_text``, in request order.

    An option requested as n may be unset or not exist at all.
    """
    got = values(config_text)
    return [
        ConfigDifference(option, got.get(option.name, "n"))
        for option in request.options
        if not same(option.value, got.get(option.name, "n"))
    ]


def effective(request: Request, config_text: str) -> Request:
    """Return the request without the optional options that did not take effect."""
    lost = {difference.option.name for difference in compare(request, config_text)}
    names = {option.name for option in request.options if option.optional}
    return request.without(names & lost)


def same(left: str, right: str) -> bool:
    """Whether two values are equal: 0x10 equals 16, everything else is compared as text."""
    if left == right:
        return True
    try:
        return int(left, 0) == int(right, 0)
    except ValueError:
        return False


def _assignment(text: str) -> Option:
    match = _ARGUMENT.match(text.strip())
    if match is None:
        raise UsageError(f"not an option: {text}", hint="write CONFIG_NAME=value, or NAME=value")
    value = match[2]
    if not _VALUE.match(value):  # the shell removes the quotes
        value = '"{}"'.format(value.replace("\\", r"\\").replace('"', r"\""))
    return Option(match[1], value, COMMAND_LINE)


def _agreed(options: Iterable[Option]) -> dict[str, Option]:
    """Return the options by name.  Raises UsageError for conflicting values."""
    agreed: dict[str, Option] = {}
    for option in options:
        first = agreed.setdefault(option.name, option)
        if not same(first.value, option.value):
            raise UsageError(
                f"CONFIG_{option.name} is {first.value} in {first.origin}"
                f" but {option.value} in {option.origin}",
                hint=f"decide on the command line: CONFIG_{option.name}={option.value}",
            )
    return agreed


def _every_file(
    fragments: Sequence[str | Path], folders: Sequence[Path], arch: str
) -> Iterable[Path]:
    return dict.fromkeys(f for fragment in fragments for f in _files(fragment, folders, arch))


def _files(fragment: str | Path, folders: Sequence[Path], arch: str) -> list[Path]:
    path = Path(fragment)
    is_name = not isinstance(fragment, Path) and "/" not in fragment and path.suffix != SUFFIX
    file = _find(str(fragment), folders) if is_name else path
    if file.suffix != SUFFIX:
        return [file]
    return [file, *filter(Path.is_file, [file.with_suffix(f".{arch}{SUFFIX}")])]


def _find(name: str, folders: Sequence[Path]) -> Path:
    for folder in _search_path(folders):
        file = folder / f"{name}{SUFFIX}"
        if file.is_file():
            return file
    names = ", ".join(available(folders)) or "none"
    raise UsageError(
        f"there is no kconfig fragment {name}",
        hint=f"available: {names}; a file needs a path, such as ./{name}{SUFFIX}",
    )


def _search_path(folders: Sequence[Path]) -> list[Path]:
    package = Path(harness.__file__).parent
    # Our own fragments are inside the package if installed, and beside it in a checkout.
    return [*folders, Path("kconfigs"), package / "kconfigs", package.parent / "kconfigs"]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            f"{file} is not a kconfig fragment: it is not text", hint=_FRAGMENT_HINT
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the kconfig fragment {file}: {error.strerror}", hint=_FRAGMENT_HINT
        ) from error
