# SPDX-License-Identifier: GPL-2.0-only
"""Make a .config in a build folder, and insist that it is what was asked for.

The kernel's tinyconfig is "everything off" (allnoconfig) with a few options pinned.  We hand
those and the request to one allnoconfig, so that also what the request makes visible starts off:
added to a finished tinyconfig, such options would take their defaults instead, hundreds of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness import architectures, kbuild, paths, process
from harness.errors import HostFault, NotConfigured
from harness.kconfig.compare import Difference, compare, values
from harness.kconfig.explain import Why, explain
from harness.kconfig.fragment import parse
from harness.kconfig.unchanged import remember, unchanged
from harness.model import Option, Request, Toolchain
from harness.progress import Progress

_WISH, _NEW = ".harness-wish", ".harness-config"
_TIME_LIMIT = 600.0  # seconds; a few are normal
_COMPILER = re.compile(
    r"(?:compiler|linker|assembler) (?:is too old|'.*' not found)|Sorry, this .* is not supported",
    re.IGNORECASE,
)


def configure(
    source: Path, out: Path, request: Request, toolchain: Toolchain, progress: Progress
) -> Path:
    """Make ``out``/.config from the tree's tiny configuration and the request; give its path.

    A .config that would not change is not written, so that make has nothing to do.  Raises
    NotConfigured with a reason for each option that did not land.
    """
    if not (source / "Kconfig").is_file():
        raise NotConfigured(
            f"{source} is not a kernel tree: it has no Kconfig",
            hint="--tree DIR names a kernel's git tree, --kernel 7.2 a release",
        )
    wish = _wish([*_tiny(source, toolchain, request), *request.options])
    config = out / ".config"
    about = f"{len(request.options)} options"
    with paths.writing(out), progress.stage("configure", about) as stage:
        if known := unchanged(source, out, wish, toolchain):
            text = config.read_text()
        else:
            text = _made(source, out, wish, toolchain)
        if missing := compare(request, text):
            raise _refusal(missing, explain(source, missing, text, toolchain.arch))
        if not known:
            known = config.exists() and config.read_text() == text
            if not known:
                (out / _NEW).replace(config)
            remember(source, out, wish, toolchain)
        stage.finish(
            f"{about} asked and got, {_on(text)} on in all" + (", unchanged" if known else "")
        )
    return config


def attempt(source: Path, out: Path, request: Request, toolchain: Toolchain) -> dict[str, str]:
    """Make ``out``/.config as near to the request as it gets, and give the values it has.

    Raises NotConfigured only when there is no configuration at all.
    """
    with paths.writing(out):
        wish = _wish([*_tiny(source, toolchain, request), *request.options])
        text = _made(source, out, wish, toolchain)
        config = out / ".config"
        if not config.exists() or config.read_text() != text:
            (out / _NEW).replace(config)
    return values(text)


def _made(source: Path, out: Path, wish: str, toolchain: Toolchain) -> str:
    """Let the tree's own tools make a .config, beside the one that is there."""
    kbuild.check(toolchain)
    new, wished = out / _NEW, out / _WISH
    out.mkdir(parents=True, exist_ok=True)
    wished.write_text(wish)
    new.unlink(missing_ok=True)
    own = {"KCONFIG_CONFIG": str(new), "KCONFIG_ALLCONFIG": str(wished)}
    result = process.run(
        [*kbuild.command(source, out, toolchain), "allnoconfig", "olddefconfig"],
        env={**kbuild.environment(), **own},
        timeout=_TIME_LIMIT,
        check=False,
    )
    if not result.ok or not new.exists():
        raise _failure(source, result, toolchain)
    return new.read_text()


def _tiny(source: Path, toolchain: Toolchain, request: Request) -> list[Option]:
    """Give what tinyconfig pins, without what the request says itself."""
    folder = f"arch/{architectures.named(toolchain.arch).folder}/configs"
    asked = {option.name for option in request.options}
    files = [
        source / "kernel/configs/tiny-base.config",
        source / "kernel/configs/tiny.config",
        source / folder / "tiny.config",
    ]
    pinned = [o for file in files if file.is_file() for o in parse(file.read_text(), str(file))]
    return [option for option in pinned if option.name not in asked]


def _wish(options: Sequence[Option]) -> str:
    return "".join(
        f"# CONFIG_{o.name} is not set\n" if o.value == "n" else f"CONFIG_{o.name}={o.value}\n"
        for o in options
    )


def _refusal(missing: Sequence[Difference], reasons: Sequence[Why]) -> NotConfigured:
    lines = [f"{difference}: {why.text}" for difference, why in zip(missing, reasons, strict=True)]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    hint = next((why.hint for why in reasons if why.hint), "")
    return NotConfigured(
        f"{lines[0]}{more}",
        hint=hint or "change or drop these options",
        details="\n".join(lines) if more else "",
    )


def _failure(
    source: Path, result: process.Result, toolchain: Toolchain
) -> HostFault | NotConfigured:
    said = (result.stderr + result.stdout).strip()
    if _COMPILER.search(said):
        return HostFault(
            f"this kernel cannot be built with {toolchain.version}",
            hint="install a newer compiler" + (", or leave out --llvm" if toolchain.llvm else ""),
            details=said,
        )
    if re.search(r"No space left on device|Permission denied|Read-only file system", said):
        return HostFault(
            "the kernel cannot be configured on this disk",
            hint="harness clean makes room; HARNESS_CACHE names another place",
            details=said,
        )
    return NotConfigured(
        f"make could not configure the kernel in {source}",
        hint=result.words,
        details=said,
    )


def _on(text: str) -> int:
    return sum(value in ("y", "m") for value in values(text).values())
