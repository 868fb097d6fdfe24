# SPDX-License-Identifier: GPL-2.0-only
"""Build the kernel's self-tests from a commit, with the tree's own Makefiles, outside of any tree.

A target is built once for a commit's relevant folders and a compiler.
"""

from __future__ import annotations

import collections
import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import architectures, git, kbuild, paths, process
from harness.adaptors import Sources
from harness.errors import HostFault, NotBuilt, UsageError
from harness.model import Option
from harness.progress import Progress, Stage

_TOP = "tools/testing/selftests"
# What self-tests and the installed headers are built from; exec needs samples, net what follows.
# tools/net/ynl looks for MAINTAINERS in the folders above it, and never stops where there is none.
_PARTS = (
    *("Makefile", "scripts", "include", "tools", "usr", "arch/{arch}"),
    *("samples", "Documentation/netlink", "MAINTAINERS"),
    # Files of the kernel itself that mm, iommu and kvm include.  make leaves programs out, and says
    # nothing, if the first is not there.
    *("mm/gup_test.h", "lib/test_hmm_uapi.h", "lib/rbtree.c"),
    "drivers/iommu/iommufd/iommufd_test.h",
)
_OPTION = re.compile(r"^CONFIG_(\w+)=(y|m|n|\d+|\".*\")\s*$", re.MULTILINE)
_TAIL = 40  # lines of make's output in an error

# What compiler, linker, make and shell say when something is not installed, and Debian's packages.
_LACKING = re.compile(
    r"cannot find -l(?P<library>[\w.+-]+)|fatal error: (?P<header>[\w./-]+\.h): No such file"
    r"|^make(?:\[\d+\])?: (?P<program>[\w+-]+): No such file|: (?P<command>[\w+-]+): not found$"
)
_PACKAGES = {
    "cap": "libcap-dev",
    "cap-ng": "libcap-ng-dev",
    "fuse3": "libfuse3-dev",
    "fuse": "libfuse-dev",
    "mnl": "libmnl-dev",
    "numa": "libnuma-dev",
    "popt": "libpopt-dev",
    "elf": "libelf-dev",
    "crypto": "libssl-dev",
    "asound": "libasound2-dev",
    "keyutils": "libkeyutils-dev",
    "uring": "liburing-dev",
    "pci": "libpci-dev",
    "hugetlbfs": "libhugetlbfs-dev",
    "sys/capability.h": "libcap-dev",
    "cap-ng.h": "libcap-ng-dev",
    "libmnl/libmnl.h": "libmnl-dev",
    "numa.h": "libnuma-dev",
    "numaif.h": "libnuma-dev",
    "popt.h": "libpopt-dev",
    "openssl/bio.h": "libssl-dev",
    "openssl/pem.h": "libssl-dev",
    "openssl/evp.h": "libssl-dev",
    "alsa/asoundlib.h": "libasound2-dev",
    "keyutils.h": "libkeyutils-dev",
    "liburing.h": "liburing-dev",
    "fuse.h": "libfuse-dev",
    "gelf.h": "libelf-dev",
    "clang": "clang",
    "llvm-objcopy": "llvm",
    "llvm-strip": "llvm",
    "pahole": "dwarves",
    "bpftool": "bpftool",
    "rst2man": "python3-docutils",
}


def options(whats: Sequence[str], sources: Sources) -> tuple[Option, ...]:
    """Return the options in the targets' config files; modules are built in.

    Raises UsageError for a target that the tree does not have.
    """
    found = []
    for what, folder in _folders(whats, sources).items():
        file = f"{_TOP}/{folder}/config"
        text = git.content(sources.repo, sources.commit, file) or ""
        for name, value in _OPTION.findall(text):
            value = "y" if value == "m" else value
            found.append(Option(name, value, file, f"self-tests {what}"))
    return tuple(found)


def _folders(whats: Sequence[str], sources: Sources) -> dict[str, str]:
    """Return the folder of each target below the self-tests.

    The last part of a target's name is enough if there is only one.
    """
    known = test_folders(sources)
    found = {}
    for what in whats:
        name = what.strip("/")
        matches = [name] if name in known else [k for k in known if k.endswith(f"/{name}")]
        if len(matches) != 1:
            near = matches or difflib.get_close_matches(name, known, 3, 0.5)
            raise UsageError(
                f"--kselftest {what}: "
                + ("it can be any of several" if matches else f"the tree has no {_TOP}/{name}"),
                hint=f"one of {', '.join(near)}" if near else f"a folder below {_TOP}",
            )
        found[what] = matches[0]
    return found


def test_folders(sources: Sources) -> list[str]:
    """Return the folders below the self-tests that have a Makefile."""
    listed = git.run(
        sources.repo, "ls-tree", "-r", "--name-only", sources.commit, f"{_TOP}/", check=False
    )
    files = [file.removeprefix(f"{_TOP}/") for file in listed.stdout.splitlines()]
    return [file.removesuffix("/Makefile") for file in files if file.endswith("/Makefile")]


def build(whats: Sequence[str], sources: Sources, progress: Progress) -> Mapping[str, Path]:
    """Return the folder where each target is installed; build what is not in the cache.

    Raises UsageError for a target that the tree does not have, HostFault if a library is not
    installed, NotBuilt if it does not compile.
    """
    arch = architectures.named(sources.toolchain.arch).folder
    parts = [part.format(arch=arch) for part in _PARTS]
    objects = [git.object_of(sources.repo, f"{sources.commit}:{part}") for part in parts]
    key = hashlib.sha256(repr((objects, sources.toolchain)).encode()).hexdigest()[:20]
    place = paths.cache("kselftest") / key
    folders = _folders(whats, sources)
    missing = [what for what, name in folders.items() if not (place / _key(name)).is_dir()]
    if missing:
        with (
            progress.stage("kselftest", ", ".join(missing)) as stage,
            paths.writing(place),
            paths.scratch(place) as scratch,
        ):
            existing = [part for part, name in zip(parts, objects, strict=True) if name]
            _extract(sources, existing, scratch)
            for what in missing:
                _install(what, folders[what], sources, scratch, stage)
                place.mkdir(exist_ok=True)
                built = scratch / _key(folders[what])
                if not (place / built.name).exists():  # another run may have been faster
                    built.rename(place / built.name)
            stage.finish(f"{len(missing)} of {len(folders)} targets built: {', '.join(missing)}")
    return {what: place / _key(name) for what, name in folders.items()}


def _key(name: str) -> str:
    return name.replace("/", "--")


def _extract(sources: Sources, parts: Iterable[str], scratch: Path) -> None:
    """Write the relevant folders of the commit below ``scratch``, and install its headers."""
    (scratch / "source").mkdir()
    archive = scratch / "source.tar"
    git.run(sources.repo, "archive", "-o", str(archive), sources.commit, "--", *parts)
    process.run(["tar", "-xf", archive, "-C", scratch / "source"])
    archive.unlink()
    # The top Makefile reads these; nothing of them is built.
    for file in ("Kbuild", "Kconfig"):
        text = git.content(sources.repo, sources.commit, file)
        if text is not None:
            (scratch / "source" / file).write_text(text)
    _make(sources, scratch, "headers", [])


def _install(what: str, name: str, sources: Sources, scratch: Path, stage: Stage) -> None:
    stage.update(note=what)
    words = [
        "FORCE_TARGETS=1",
        "SKIP_TARGETS=",
        f"TARGETS={name}",
        f"INSTALL_PATH={scratch / _key(name)}",
        "install",
    ]
    _make(sources, scratch, what, ["-C", _TOP, *words])


def _make(sources: Sources, scratch: Path, what: str, words: Sequence[str]) -> None:
    """Run make; with ``words`` in the self-tests, else for the target ``what``."""
    command = kbuild.command(scratch / "source", scratch / "out", sources.toolchain)
    (scratch / "out").mkdir(exist_ok=True)
    lines: collections.deque[str] = collections.deque(maxlen=2000)
    status = process.follow([*command, *(words or [what])], lines.append, env=kbuild.environment())
    if status:
        raise failure(what, list(lines))


def failure(what: str, lines: list[str]) -> HostFault | NotBuilt:
    """Return the error for a target that was not built: something is missing, or it is wrong."""
    found = [match for line in lines if (match := _LACKING.search(line))]
    names = {match[match.lastgroup or 0]: match["library"] for match in found}
    packages = sorted({_PACKAGES[name] for name in names if name in _PACKAGES})
    if packages:
        lacking = ", ".join(f"lib{name}" if library else name for name, library in names.items())
        return HostFault(
            f"--kselftest {what} cannot be built: {lacking} not installed",
            hint=f"on Debian: apt install {' '.join(packages)}",
            details="\n".join(match.string for match in found),
        )
    errors = [line for line in lines if re.search(r"\berror\b|\*\*\*", line)]
    return NotBuilt(
        f"--kselftest {what} does not build: {errors[0] if errors else 'make failed'}",
        hint="leave the target out, or mend it in the tree",
        details="\n".join(lines[-_TAIL:]),
    )
