# SPDX-License-Identifier: GPL-2.0-only
"""Make a .config in a build folder, and verify that it has the requested options.

The kernel's tinyconfig is "everything off" (allnoconfig) with a few options pinned.  We pass
those and the request to a single allnoconfig, so that options made visible by the request start
off as well: added to a finished tinyconfig, hundreds of them would take their defaults.

Making a .config takes seconds, at every step of a bisection.  After a build, the folder has a list
of the Kconfig files that its .config depends on; as long as neither these files nor the request
have changed, the .config is up to date.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from harness import architectures, kbuild, paths, process
from harness.errors import HostFault, NotConfigured
from harness.kconfig.explain import Reason, best_hint, explain
from harness.kconfig.fragment import ConfigDifference, compare, parse, values
from harness.model import Option, Request, Toolchain
from harness.progress import Progress

# The input of allnoconfig, the .config that it makes, and what the current .config was made from.
_WANTED, _NEW, _STAMP = ".harness-wanted", ".harness-config", ".harness-configured"
_TIME_LIMIT = 600.0  # seconds; it normally takes a few
_KCONFIG_FILE = re.compile(r"^\t(\S+) \\$", re.MULTILINE)
_COMPILER_REFUSED = re.compile(
    r"(?:compiler|linker|assembler) (?:is too old|'.*' not found)|Sorry, this .* is not supported",
    re.IGNORECASE,
)
_DISK_REFUSED = re.compile(r"No space left on device|Permission denied|Read-only file system")


def configure(
    source: Path, out: Path, request: Request, toolchain: Toolchain, progress: Progress
) -> Path:
    """Make ``out``/.config from the tree's tiny configuration and the request; return its path.

    An unchanged .config is not rewritten, so that make has nothing to do.  Raises NotConfigured
    with a reason for each option that did not take effect; an optional one is only shown.
    """
    if not (source / "Kconfig").is_file():
        raise NotConfigured(
            f"{source} is not a kernel tree: it has no Kconfig",
            hint="--tree DIR names a kernel's git tree, --kernel 7.2 a release",
        )
    config = out / ".config"
    count = f"{len(request.options)} options"
    wanted = _wanted(source, toolchain, request)
    with paths.writing(out), progress.stage("configure", count) as stage:
        unchanged = _unchanged(source, out, wanted, toolchain)
        text = config.read_text() if unchanged else _make_config(source, out, wanted, toolchain)
        if missing := compare(request, text):
            reasons = explain(source, missing, text, toolchain.arch)
            _accept(missing, reasons, progress)
        if not unchanged:
            unchanged = _install(source, out, wanted, toolchain, text)
        on = sum(value in ("y", "m") for value in values(text).values())
        end = ", unchanged" if unchanged else ""
        stage.finish(f"{count} requested and set, {on} on in total{end}")
    return config


def attempt(source: Path, out: Path, request: Request, toolchain: Toolchain) -> dict[str, str]:
    """Make ``out``/.config as close to the request as possible; return its values.

    Raises NotConfigured only if there is no configuration at all.
    """
    wanted = _wanted(source, toolchain, request)
    with paths.writing(out):
        if not _unchanged(source, out, wanted, toolchain):
            text = _make_config(source, out, wanted, toolchain)
            _install(source, out, wanted, toolchain, text)
        return values((out / ".config").read_text())


def _install(source: Path, out: Path, wanted: str, toolchain: Toolchain, text: str) -> bool:
    """Move the new .config into place unless it is unchanged; return whether it is unchanged."""
    config = out / ".config"
    same = config.exists() and config.read_text() == text
    if not same:
        (out / _NEW).replace(config)
    (out / _STAMP).write_text(_inputs(source, out, wanted, toolchain))
    return same


def _make_config(source: Path, out: Path, wanted: str, toolchain: Toolchain) -> str:
    """Make a .config beside the current one with the tree's own tools; return its text."""
    kbuild.check(toolchain)
    new, wish_file = out / _NEW, out / _WANTED
    out.mkdir(parents=True, exist_ok=True)
    wish_file.write_text(wanted)
    new.unlink(missing_ok=True)
    own = {"KCONFIG_CONFIG": str(new), "KCONFIG_ALLCONFIG": str(wish_file)}
    result = process.run(
        [*kbuild.command(source, out, toolchain), "allnoconfig", "olddefconfig"],
        env={**kbuild.environment(), **own},
        timeout=_TIME_LIMIT,
        check=False,
    )
    if not result.ok or not new.exists():
        raise _failure(source, result, toolchain)
    return new.read_text()


def _wanted(source: Path, toolchain: Toolchain, request: Request) -> str:
    """Return the options pinned by tinyconfig, overridden by and followed by the request."""
    folder = f"arch/{architectures.named(toolchain.arch).folder}/configs"
    files = ("kernel/configs/tiny-base.config", "kernel/configs/tiny.config")
    requested = {option.name for option in request.options}
    pinned: list[Option] = []
    for file in (source / name for name in (*files, f"{folder}/tiny.config")):
        if file.is_file():
            pinned += parse(file.read_text(), str(file))
    return "".join(
        f"# CONFIG_{o.name} is not set\n" if o.value == "n" else f"CONFIG_{o.name}={o.value}\n"
        for o in (*(option for option in pinned if option.name not in requested), *request.options)
    )


def _unchanged(source: Path, out: Path, wanted: str, toolchain: Toolchain) -> bool:
    """Whether ``out``/.config is up to date."""
    try:
        stamp = out / _STAMP
        if stamp.read_text() != _inputs(source, out, wanted, toolchain):
            return False
        made = stamp.stat().st_mtime_ns
        record = out / "include/config/auto.conf.cmd"
        # The list is complete if no file in it has changed since make wrote it, and the .config is
        # up to date if no file has changed since it was made.
        since = min(made, record.stat().st_mtime_ns)
        files = _KCONFIG_FILE.findall(record.read_text())
        if not files or any((source / name).stat().st_mtime_ns >= since for name in files):
            return False
        # The first lines of a .config contain the version from the Makefile.
        return (source / "Makefile").stat().st_mtime_ns < made
    except OSError:
        return False


def _inputs(source: Path, out: Path, wanted: str, toolchain: Toolchain) -> str:
    """Return what ``out``/.config was made from, and its digest."""
    digest = hashlib.sha256((out / ".config").read_bytes()).hexdigest()
    return f"{source}\n{toolchain}\n{digest}\n{wanted}"


def _accept(
    missing: Sequence[ConfigDifference], reasons: Sequence[Reason], progress: Progress
) -> None:
    """Show the optional options that did not take effect; raise NotConfigured for the others."""
    pairs = list(zip(missing, reasons, strict=True))
    if asked := [pair for pair in pairs if not pair[0].option.optional]:
        raise _refusal(*zip(*asked, strict=True))
    for difference, reason in pairs:
        progress.say(f"built without CONFIG_{difference.option.name}: {reason.text}")


def _refusal(missing: Sequence[ConfigDifference], reasons: Sequence[Reason]) -> NotConfigured:
    pairs = zip(missing, reasons, strict=True)
    lines = [f"{difference}: {reason.text}" for difference, reason in pairs]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return NotConfigured(
        f"{lines[0]}{more}",
        hint=best_hint(reasons) or "change or drop these options",
        details="\n".join(lines) if more else "",
    )


def _failure(
    source: Path, result: process.Result, toolchain: Toolchain
) -> HostFault | NotConfigured:
    printed = (result.stderr + result.stdout).strip()
    if _COMPILER_REFUSED.search(printed):
        return HostFault(
            f"this kernel cannot be built with {toolchain.version}",
            hint="install a newer compiler" + (", or leave out --llvm" if toolchain.llvm else ""),
            details=printed,
        )
    if _DISK_REFUSED.search(printed):
        return HostFault(
            "the kernel cannot be configured on this disk",
            hint="harness clean frees space; HARNESS_CACHE moves the cache elsewhere",
            details=printed,
        )
    return NotConfigured(
        f"make could not configure the kernel in {source}",
        hint=result.words,
        details=printed,
    )
