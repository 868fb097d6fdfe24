# SPDX-License-Identifier: GPL-2.0-only
"""Build one kernel after another in which a single file was changed for a moment.

make is asked only to link: the objects of the changed file are compiled with their recorded
commands, in a build folder that nothing else uses.  An object whose code is the same with the
change shows that the change is none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import kbuild, paths, process
from harness.build import compiled, make, make_records, tools
from harness.build.compiled import ObjectRecord
from harness.errors import NotBuilt
from harness.model import Checkout, Kernel, Toolchain
from harness.process import Result

MOST_OBJECTS = 40  # that include a header: a change of one in <linux/> compiles the whole kernel
_ORIGINALS = ".harness-originals"  # in the build folder: the objects before they were changed
_COMPILE = " -c -o "
# Debug info would be thrown away.  Warnings are no errors, but arguments of the wrong type are.
_FLAGS = (
    " -g0 -Wno-error -Werror=incompatible-pointer-types -Werror=int-conversion"
    " -Werror=implicit-function-declaration"
)
_COMPILE_LIMIT = 300.0  # seconds for one object, which takes one or two
_LINK_LIMIT = 1800.0
_ERROR = re.compile(r"error: (.*)")


@dataclasses.dataclass(frozen=True)
class ChangedObjects:
    """The objects with other code than before; ``error`` is the compiler's, if it refused one.

    ``lines`` are those of the changed file in which it found errors.
    """

    names: tuple[str, ...] = ()
    error: str = ""
    lines: frozenset[int] = frozenset()


class ChangedBuilds:
    """The build folder ``out``, which holds the complete build of a checkout.

    ``restore`` was called before make.  The caller holds the lock of the worktree whenever it calls
    a method, and the checkout's files are in it.  ``kernel`` is the kernel without a change.
    """

    def __init__(self, checkout: Checkout, out: Path, toolchain: Toolchain, kernel: Kernel) -> None:
        self.checkout, self.out, self.toolchain, self.kernel = checkout, out, toolchain, kernel
        self._records: dict[str, tuple[ObjectRecord, ...]] = {}
        self._digests: dict[str, str] = {}

    def objects(self, path: str) -> tuple[ObjectRecord, ...]:
        """Return the objects of the kernel that are compiled from a file of the tree."""
        if path not in self._records:
            top = self.checkout.path
            mark = compiled.mark(top, path)
            records = compiled.object_records(top, self.out, self.toolchain, (mark,))
            whole = re.compile(re.escape(mark) + rb"(?![\w.-])")
            found = [r for r in records if r.source == path or whole.search(r.record)]
            self._records[path] = tuple(found)
        return self._records[path]

    def compile(self, path: str, content: bytes) -> ChangedObjects:
        """Compile the objects of a file as if it had this content; keep those with other code.

        The file is as before when this returns.  Raises HostFault if the disk is full.
        """
        changed, before = [], {}
        for record in self.objects(path):
            before[record.name] = self._unchanged(record)
        with self._content(path, content):
            for record in self.objects(path):
                done = self._compile(record)
                if not done.ok:
                    return ChangedObjects((), _first_error(done), _error_lines(done, path))
                if self._code(record.name) != before[record.name]:
                    changed.append(record.name)
        return ChangedObjects(tuple(changed))

    def is_built_in(self, path: str) -> bool:
        """Whether a file of the tree is compiled only into the image, and into one object."""
        objects = self.objects(path)
        return len(objects) == 1 and objects[0].name in self._built_in

    def link(self, objects: tuple[str, ...], folder: Path, jobs: int) -> Kernel:
        """Link the kernel with the objects as they are now, and copy it into ``folder``.

        Raises NotBuilt with the messages of the linker or modpost.
        """
        in_modules = self.kernel.modules is not None and not self._built_in.issuperset(objects)
        argv = make.command(self.checkout, self.out, self.toolchain, jobs, lean=True)
        argv += [make.LEAN, *(["modules"] if in_modules else [])]
        env = {**kbuild.environment(), **tools.ccache()}
        done = process.run(argv, env=env, timeout=_LINK_LIMIT, check=False)
        if not done.ok:
            raise NotBuilt(
                f"it cannot be linked: {_first_error(done)}",
                details=f"{done.stdout}\n{done.stderr}".strip(),
            )
        installed = self.kernel.modules
        if in_modules:
            installed = make.install_modules(self.checkout, self.out, self.toolchain, jobs)
        image, modules = folder / "image", folder / "modules"
        with paths.writing(folder):  # guests look for a kernel's files beside its image
            folder.mkdir(parents=True)
            shutil.copyfile(self.out / make.LEAN, folder / make.LEAN)
            image.symlink_to(make.LEAN)
            shutil.copyfile(self.kernel.config, folder / "config")
            if in_modules and installed is not None:
                shutil.copytree(installed, modules, symlinks=True)
            elif installed is not None:
                modules.symlink_to(installed)
        return dataclasses.replace(
            self.kernel,
            folder=folder,
            image=image,
            config=folder / "config",
            vmlinux=folder / make.LEAN,
            modules=modules if installed is not None else None,
            reused=False,
        )

    def restore(self) -> None:
        """Put the original objects back."""
        restore(self.out)

    @functools.cached_property
    def _built_in(self) -> set[str]:
        return make_records.object_names(self.out, self.toolchain, modules=False)

    @contextlib.contextmanager
    def _content(self, path: str, content: bytes) -> Iterator[None]:
        """Give a file of the worktree another content during the context.

        Its time stamp is as before at the end, so that make compiles nothing again.  If we are
        killed, git sees that the file was changed, and the next checkout writes it again.
        """
        file = self.checkout.path / path
        before, times = file.read_bytes(), file.stat()
        try:
            with paths.writing(file):
                file.write_bytes(content)
            yield
        finally:
            file.write_bytes(before)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _keep_original(self, name: str) -> None:
        kept = self.out / _ORIGINALS / name
        if not kept.exists():
            with paths.writing(kept):
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.out / name, kept.with_suffix(".new"))
                kept.with_suffix(".new").replace(kept)

    def _compile(self, record: ObjectRecord) -> Result:
        self._keep_original(record.name)
        script = record.script.replace(_COMPILE, f"{_FLAGS}{_COMPILE}", 1)
        env = {**kbuild.environment(), **tools.ccache()}
        argv = ["sh", "-c", f"set -e; {script}"]
        return process.run(argv, cwd=self.out, env=env, timeout=_COMPILE_LIMIT, check=False)

    def _unchanged(self, record: ObjectRecord) -> str:
        """Return the digest of an object's code without the change, compiled in the same way.

        Debug info leaves its traces in the order of symbols, even when it is stripped.
        """
        if record.name not in self._digests:
            self._compile(record)
            self._digests[record.name] = self._code(record.name)
        return self._digests[record.name]

    def _code(self, name: str) -> str:
        """Return a digest of an object without its debug info."""
        bare = self.out / f"{_ORIGINALS}.bare"
        program = kbuild.program(self.toolchain, "objcopy")
        process.run([program, "--strip-debug", self.out / name, bare])
        return hashlib.sha256(bare.read_bytes()).hexdigest()


def restore(out: Path) -> None:
    """Put the original objects back into a build folder, which a killed run may have left changed.

    To be called before make: it would link them.
    """
    kept = out / _ORIGINALS
    for file in sorted(kept.rglob("*.o")) if kept.is_dir() else ():
        shutil.copyfile(file, out / file.relative_to(kept))
        file.unlink()


def _error_lines(done: Result, path: str) -> frozenset[int]:
    """Return the lines of a file with errors, and those from which a macro's error comes."""
    place = re.compile(rf"{re.escape(path)}:(\d+):(?:\d+:)? (?:error|note):")
    return frozenset(map(int, place.findall(f"{done.stderr}\n{done.stdout}")))


def _first_error(done: Result) -> str:
    text = f"{done.stderr}\n{done.stdout}"
    match = _ERROR.search(text)
    lines = [line for line in text.splitlines() if line.strip()]
    return match[1] if match else lines[-1] if lines else "no message"
