# SPDX-License-Identifier: GPL-2.0-only
"""Run make on a configured build folder and keep the kernel it makes."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import time
from pathlib import Path

from harness import kbuild, paths, process
from harness.build import expected, mended, modules, output, spared, store, tools, warnings
from harness.errors import HostFault, NotBuilt
from harness.model import Checkout, Kernel, Key, Toolchain
from harness.progress import Progress, Stage

LOG = ".harness-build.log"
_ON = re.compile(r"^CONFIG_(\w+)=y$", re.MULTILINE)
_LEAN = "vmlinux"  # what make is asked for then
_TAIL = 40  # lines of the log shown when nothing in it looks like an error


def build(
    checkout: Checkout,
    out: Path,
    key: Key,
    toolchain: Toolchain,
    progress: Progress,
    jobs: int | None = None,
) -> Kernel:
    """Build the configured folder ``out`` and keep the kernel under ``key``.

    The caller holds the lock of the worktree.  ``jobs`` is make's -j, by default the processors
    we may use.  Raises NotBuilt with the compiler's own lines, HostFault when tools, space or
    memory are missing.
    """
    on = dict.fromkeys(_ON.findall(_config(out)), "y")
    tools.check(toolchain, on)
    estimate = expected.Objects(out, key.config, len(on))
    paths.need_space(out, expected.space(on, fresh=estimate.fresh), "building this kernel")
    jobs = jobs or len(os.sched_getaffinity(0))
    argv = [
        *kbuild.command(checkout.path, out, toolchain),
        *(f"-j{jobs}", "--output-sync=target"),
        *_goal(key, toolchain),
        *([modules.GOAL] if "MODULES" in on else []),
    ]
    begin = time.monotonic()
    about = f"{toolchain.arch} with {toolchain.version}"
    with paths.writing(out), progress.stage("build", about) as stage:
        collector = warnings.Collector(out, checkout.path)
        spares = spared.before(checkout, out, toolchain, collector.found)
        _make(argv, collector, out, estimate, stage, spares)
        spared.after(checkout, out)
        kernel = _kernel(checkout, out, key, toolchain, collector)
        if "MODULES" in on:
            folder = modules.install(checkout, out, toolchain, jobs)
            kernel = dataclasses.replace(kernel, modules=folder)
        kernel = store.keep(_timed(kernel, begin), _copy)
        stage.finish(_summary(kernel, estimate, spares))
    return kernel


def _goal(key: Key, toolchain: Toolchain) -> tuple[str, ...]:
    """Give the words that say what to make, and how to link it."""
    if key.lean:
        return (f"LD={kbuild.program(toolchain, 'ld')} --strip-debug", _LEAN)
    return (kbuild.architecture(toolchain.arch).goal,)


def _make(
    argv: list[str],
    collector: warnings.Collector,
    out: Path,
    estimate: expected.Objects,
    stage: Stage,
    spares: spared.Spared,
) -> None:
    """Run make to its end; what a killed run left half done is removed before."""
    log = out / LOG
    if log.exists():  # a killed run could not save its warnings
        for old in log.read_text(errors="replace").splitlines():
            collector.line(old)
    mended.before(out)
    lines: list[str] = []
    with log.open("w", buffering=1) as file:
        file.writelines(f"# {line}\n" for line in spares.reasons)

        def line(text: str) -> None:
            file.write(f"{text}\n")
            lines.append(text)
            collector.line(text)
            if step := output.step(text):
                done, total = estimate.count(*step)
                stage.update(done, total, output.relative(str(Path(step[1]).parent), str(out)))

        status = process.follow(argv, line, env={**kbuild.environment(), **tools.ccache()})
    mended.after(out)
    collector.save()
    if status:
        raise _failure(argv, lines, Path(collector.source), log)
    estimate.save()


def _kernel(
    checkout: Checkout, out: Path, key: Key, toolchain: Toolchain, collector: warnings.Collector
) -> Kernel:
    line = kbuild.architecture(toolchain.arch)
    name, goal = (_LEAN, _LEAN) if key.lean else (line.image, line.goal)
    image = out / name
    if not image.exists():
        raise NotBuilt(
            f"make {goal} succeeded, but there is no {name}",
            hint=f"does a patch change where it is made? See {out / LOG}",
        )
    return Kernel(
        key=key.digest,
        folder=out,
        image=image,
        config=out / ".config",
        release=_release(out),
        commit=checkout.commit,
        arch=line.name,
        vmlinux=_vmlinux(out),
        log=out / LOG,
        warnings=warnings.with_patches(collector.all(), checkout),
    )


def _timed(kernel: Kernel, begin: float) -> Kernel:
    return dataclasses.replace(kernel, seconds=round(time.monotonic() - begin, 3))


def can_be_lean(out: Path, toolchain: Toolchain) -> bool:
    """Whether the kernel of the configured folder ``out`` can be lean.

    QEMU must start vmlinux itself, and what the kernel loads must not be made from debug info.
    """
    on = set(_ON.findall(_config(out)))
    return kbuild.architecture(toolchain.arch).unpacked in on and "DEBUG_INFO_BTF" not in on


def _config(out: Path) -> str:
    try:
        return (out / ".config").read_text()
    except OSError as error:
        raise NotBuilt(
            f"{out} is not configured: {error.strerror}",
            hint="run the same again; is a harness clean running?",
        ) from error


def _release(out: Path) -> str:
    file = out / "include/config/kernel.release"
    try:
        return file.read_text().strip()
    except OSError as error:
        raise NotBuilt(
            f"make left no release string in {file}",
            hint=f"does a patch change the rule that makes it? See {out / LOG}",
        ) from error


def _vmlinux(out: Path) -> Path | None:
    file = out / "vmlinux"
    return file if file.exists() else None


def _copy(file: Path, to: Path) -> None:
    # Not a hard link: a later link step may write into the same file.  A reflink costs nothing.
    process.run(["cp", "--reflink=auto", "--recursive", "--", file, to])


def _summary(kernel: Kernel, estimate: expected.Objects, spares: spared.Spared) -> str:
    done = f"{estimate.done} objects compiled" if estimate.done else "nothing to compile"
    count = len(kernel.warnings)
    said = f", {count} warning{'s' if count > 1 else ''}" if count else ""
    return f"{kernel.release}, {done}{said}{f', {spares}' if spares.objects else ''}"


def _failure(argv: list[str], lines: list[str], source: Path, log: Path) -> HostFault | NotBuilt:
    again = shlex.join(argv)
    found = output.errors(lines, str(source))
    details = "\n".join(found or lines[-_TAIL:])
    if what := output.host_fault(lines):
        return HostFault(what, hint="free some, then run the same again", details=details)
    first = output.first_error(found)
    return NotBuilt(
        f"the kernel does not build: {first}" if first else "the kernel does not build",
        hint=f"{again} (whole log: {log})",
        details=details,
    )
