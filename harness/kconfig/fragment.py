# SPDX-License-Identifier: GPL-2.0-only
"""Read what is asked for: fragments by name or file, and assignments of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import harness
from harness.errors import UsageError
from harness.kconfig.compare import same
from harness.model import Option, Request

COMMAND_LINE = "command line"
SUFFIX = ".config"
_WHICH = "name one of the harness's fragments, or give the path of a file"

_SET = re.compile(r"^CONFIG_(\w+)=(\S.*?)\s*$")
_NOT_SET = re.compile(r"^# CONFIG_(\w+) is not set\s*$")
_VALUE = re.compile(r'^(?:[ymn]|-?\d+|0[xX][0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$')
_ARGUMENT = re.compile(r"^(?:CONFIG_)?(\w+)=(.*)$", re.DOTALL)
_WHY = re.compile(r"^#\s*why\b:?\s*(.*)$", re.IGNORECASE)


def request(
    fragments: Sequence[str | Path],
    assignments: Sequence[str],
    folders: Sequence[Path],
    arch: str = "x86_64",
) -> Request:
    """Read fragments (names or files) and ``X=y`` assignments into one Request.

    A name is looked for in ``folders``, in ./kconfigs and among the harness's own; beside
    NAME.config a NAME.<arch>.config is read too, if there is one.  Assignments win over
    fragments.  Raises UsageError for an unknown name, a line that is no option, and for two
    places that disagree.
    """
    given = _agreed(_argument(text) for text in assignments)
    files = [file for each in fragments for file in _files(each, folders, arch)]
    read = [option for file in dict.fromkeys(files) for option in parse(_text(file), str(file))]
    asked = _agreed(option for option in read if option.name not in given)
    return Request((*asked.values(), *given.values()))


def parse(text: str, where: str) -> list[Option]:
    """Read the lines of a fragment.

    A comment that starts with "why" is the reason of the options below it, up to an empty line.
    """
    options: list[Option] = []
    reason: list[str] = []
    in_comment = False
    for number, line in enumerate(text.splitlines(), 1):
        if found := _SET.match(line) or _NOT_SET.match(line):
            value = found[2] if found.re is _SET else "n"
            options.append(
                Option(found[1], _checked(value, f"{where}:{number}"), f"{where}:{number}")
            )
            options[-1] = _with_reason(options[-1], reason)
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
    """Give the names of all fragments that can be asked for."""
    names = {
        file.name.removesuffix(SUFFIX)
        for folder in _places(folders)
        if folder.is_dir()
        for file in folder.glob(f"*{SUFFIX}")
    }
    return sorted(name for name in names if "." not in name)


def _with_reason(option: Option, reason: list[str]) -> Option:
    return Option(option.name, option.value, option.origin, " ".join(filter(None, reason)))


def _checked(value: str, where: str) -> str:
    if not _VALUE.match(value):
        raise UsageError(
            f"{where}: {value} is not a value of an option",
            hint='a value is y, m, n, a number, or a string in double quotes ("...")',
        )
    return value


def _argument(text: str) -> Option:
    found = _ARGUMENT.match(text.strip())
    if found is None:
        raise UsageError(f"not an option: {text}", hint="write CONFIG_NAME=value, or NAME=value")
    value = found[2]
    if not _VALUE.match(value):  # a shell takes the quotes away
        value = '"{}"'.format(value.replace("\\", r"\\").replace('"', r"\""))
    return Option(found[1], value, COMMAND_LINE)


def _agreed(options: Iterator[Option] | Sequence[Option]) -> dict[str, Option]:
    agreed: dict[str, Option] = {}
    for option in options:
        first = agreed.setdefault(option.name, option)
        if not same(first.value, option.value):
            raise UsageError(
                f"CONFIG_{option.name} is {first.value} in {first.origin}"
                f" but {option.value} in {option.origin}",
                hint=f"say which on the command line: CONFIG_{option.name}={option.value}",
            )
    return agreed


def _files(fragment: str | Path, folders: Sequence[Path], arch: str) -> list[Path]:
    path = Path(fragment)
    is_name = not isinstance(fragment, Path) and "/" not in fragment and path.suffix != SUFFIX
    file = _named(str(fragment), folders) if is_name else path
    if file.suffix != SUFFIX:
        return [file]
    return [file, *filter(Path.is_file, [file.with_suffix(f".{arch}{SUFFIX}")])]


def _named(name: str, folders: Sequence[Path]) -> Path:
    for folder in _places(folders):
        file = folder / f"{name}{SUFFIX}"
        if file.is_file():
            return file
    known = ", ".join(available(folders)) or "none at all"
    raise UsageError(
        f"there is no kconfig fragment {name}",
        hint=f"there are: {known}; a file is given with its path, like ./{name}{SUFFIX}",
    )


def _places(folders: Sequence[Path]) -> list[Path]:
    package = Path(harness.__file__).parent
    # Our own fragments lie inside an installed package, and beside it in a checkout.
    return [*folders, Path("kconfigs"), package / "kconfigs", package.parent / "kconfigs"]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a kconfig fragment: it is not text", hint=_WHICH) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the kconfig fragment {file}: {error.strerror}", hint=_WHICH
        ) from error
