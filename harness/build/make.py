# SPDX-License-Identifier: GPL-2.0-only
"""Run make on a configured build folder and keep the kernel that it builds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from harness import architectures, kbuild, paths, process
from harness.build import counters, kernel_store, make_records, nearest, output, skip, tools
from harness.build.make_records import LOG, ObjectCount
from harness.build.output import WarningCollector
from harness.errors import HostFault, NotBuilt
from harness.model import Checkout, Kernel, Key, Toolchain
from harness.progress import Progress, Stage

_ON = re.compile(r"^CONFIG_(\w+)=y$", re.MULTILINE)
LEAN = "vmlinux"  # the make target of a lean kernel, and the file that QEMU boots
_MODULES = ".harness-modules"
_MODULES_TIME_LIMIT = 600.0  # seconds; copying and depmod take at most a minute
_TAIL = 40  # lines of the log to show when none of them looks like an error
_GIGA = 10**9


def build(
    checkout: Checkout,
    out: Path,
    key: Key,
    toolchain: Toolchain,
    progress: Progress,
    jobs: int | None = None,
) -> Kernel:
    """Build the configured folder ``out`` and keep the kernel under ``key``.

    The caller holds the lock of the worktree.  ``jobs`` is make's -j, by default the number of
    available processors.  Raises NotBuilt with the compiler's messages, HostFault if tools, space
    or memory are insufficient.
    """
    on = _options_on(out)
    tools.check(toolchain, on)
    paths.need_space(out, _space(out, on), "building this kernel")
    jobs = jobs or len(os.sched_getaffinity(0))
    architecture = architectures.named(toolchain.arch)
    if key.lean:
        goal, image = LEAN, LEAN
    else:
        goal, image = architecture.goal, architecture.image
    argv = [
        *command(checkout, out, toolchain, jobs, lean=key.lean),
        *(*counters.make_words(key.counted), goal, *(["modules"] if "MODULES" in on else [])),
    ]
    begin = time.monotonic()
    title = f"{toolchain.arch} with {toolchain.version}"
    with paths.writing(out), progress.stage("build", title) as stage:
        again, skipped = nearest.begin(checkout, out, toolchain)
        collector = WarningCollector(out, checkout.path)
        skipped = skipped or skip.before_make(checkout, out, toolchain, collector.by_object)
        objects = ObjectCount(out, key.config, len(on), again)
        _make(argv, collector, out, objects, stage, skipped)
        skip.after_make(checkout, out)
        _require(out, goal, image)
        vmlinux = out / "vmlinux"
        kernel = Kernel(
            key=key.digest,
            folder=out,
            image=out / image,
            config=out / ".config",
            release=_release(out),
            commit=checkout.commit,
            arch=architecture.name,
            vmlinux=vmlinux if vmlinux.exists() else None,
            modules=install_modules(checkout, out, toolchain, jobs) if "MODULES" in on else None,
            notes=counters.notes(out, key.counted) if key.counted else None,
            log=out / LOG,
            warnings=output.with_patches(collector.all(), checkout),
            seconds=round(time.monotonic() - begin, 3),
        )
        kernel = kernel_store.keep(kernel, _copy)
        stage.finish(_summary(kernel, objects, skipped))
    return kernel


def command(
    checkout: Checkout, out: Path, toolchain: Toolchain, jobs: int, *, lean: bool
) -> list[str]:
    """Return the make command of a kernel; the caller appends the targets."""
    link = [f"LD={kbuild.program(toolchain, 'ld')} --strip-debug"] if lean else []
    own = (f"-j{jobs}", "--output-sync=target", *link)
    return [*kbuild.command(checkout.path, out, toolchain), *own]


def _require(out: Path, goal: str, image: str) -> None:
    if not (out / image).exists():
        raise NotBuilt(
            f"make {goal} succeeded, but {image} does not exist",
            hint=f"does a patch change its path? See {out / LOG}",
        )


def can_be_lean(out: Path, toolchain: Toolchain) -> bool:
    """Whether the kernel of the configured folder ``out`` can be lean.

    QEMU must be able to boot vmlinux directly, and nothing that the kernel loads may be generated
    from debug info, as BTF is.
    """
    on = _options_on(out)
    return architectures.named(toolchain.arch).unpacked in on and "DEBUG_INFO_BTF" not in on


def _options_on(out: Path) -> frozenset[str]:
    """Return the options that are y in a configured folder.  Raises NotBuilt if unconfigured."""
    try:
        return frozenset(_ON.findall((out / ".config").read_text()))
    except OSError as error:
        raise NotBuilt(
            f"{out} is not configured: {error.strerror}",
            hint="run the same command again; is `harness clean` running?",
        ) from error


def _space(out: Path, on: Collection[str]) -> int:
    """Return a generous estimate of the bytes that a build with these options needs."""
    if (out / "vmlinux").exists():
        return _GIGA // 5
    if "DEBUG_INFO" in on:
        return 8 * _GIGA
    return (3 if "KASAN" in on else 1) * _GIGA


def _make(
    argv: list[str],
    collector: WarningCollector,
    out: Path,
    objects: ObjectCount,
    stage: Stage,
    skipped: skip.Skipped,
) -> None:
    """Run make to completion, after removing incomplete files of a killed run."""
    log = out / LOG
    if log.exists():  # from a killed run, which did not save its warnings
        for old in log.read_text(errors="replace").splitlines():
            collector.line(old)
    make_records.make_starts(out)
    lines: list[str] = []
    with log.open("w", buffering=1) as file:
        file.writelines(f"# {line}\n" for line in skipped.reasons)

        def line(text: str) -> None:
            file.write(f"{text}\n")
            lines.append(text)
            collector.line(text)
            if step := output.step(text):
                done, total = objects.count(*step)
                stage.update(done, total, output.relative(str(Path(step[1]).parent), str(out)))

        status = process.follow(argv, line, env={**kbuild.environment(), **tools.ccache()})
    make_records.make_ended(out)
    collector.save()
    if status:
        raise _failure(argv, lines, collector.source, log)
    objects.save()


def _failure(argv: list[str], lines: list[str], source: str, log: Path) -> HostFault | NotBuilt:
    errors = output.errors(lines, source)
    details = "\n".join(errors or lines[-_TAIL:])
    if symptom := output.host_fault(lines):
        return HostFault(symptom.what, hint=symptom.hint, details=details)
    first = output.first_error(errors)
    return NotBuilt(
        f"the kernel does not build: {first}" if first else "the kernel does not build",
        hint=f"{shlex.join(argv)} (full log: {log})",
        details=details,
    )


def install_modules(checkout: Checkout, out: Path, toolchain: Toolchain, jobs: int) -> Path:
    """Install the modules below ``out`` and return the folder that becomes /lib/modules.

    The modules keep their symbols, which are used to decode splats.  Raises NotBuilt with make's
    messages.
    """
    root = out / _MODULES
    shutil.rmtree(root, ignore_errors=True)  # modules of another release would stay
    argv = [*kbuild.command(checkout.path, out, toolchain), f"-j{jobs}", "modules_install"]
    argv.append(f"INSTALL_MOD_PATH={root}")
    done = process.run(argv, env=kbuild.environment(), timeout=_MODULES_TIME_LIMIT, check=False)
    if not done.ok:
        raise NotBuilt(
            "the modules cannot be installed",
            hint=shlex.join(argv),
            details=done.stderr or done.stdout,
        )
    folder = root / "lib/modules"
    for link in folder.glob("*/build"):
        link.unlink()  # points back to the build folder, which the next build changes
    return folder


def _release(out: Path) -> str:
    file = out / "include/config/kernel.release"
    try:
        return file.read_text().strip()
    except OSError as error:
        raise NotBuilt(
            f"make wrote no release string to {file}",
            hint=f"does a patch change the rule that writes it? See {out / LOG}",
        ) from error


def _copy(file: Path, to: Path) -> None:
    # Not a hard link: a later link step may write to the same file.  A reflink costs nothing.
    process.run(["cp", "--reflink=auto", "--recursive", "--", file, to])


def _summary(kernel: Kernel, objects: ObjectCount, skipped: skip.Skipped) -> str:
    compiled = f"{objects.done} objects compiled" if objects.done else "nothing to compile"
    parts = [kernel.release, compiled]
    if count := len(kernel.warnings):
        parts.append(f"{count} warning{'s' if count > 1 else ''}")
    if skipped.objects:
        parts.append(str(skipped))
    return ", ".join(parts)
