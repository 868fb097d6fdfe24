# SPDX-License-Identifier: GPL-2.0-only
"""The parcels of a trial on their way to a worker: a git pack of its sources, and its suites.

A pack is thin against a release.  Every worker has one repository for all packs.  It borrows
objects from the releases that this machine has unpacked, and all worktrees and build folders of the
worker belong to it.

The paths of the suites' files stay the same below a folder of the worker's cache, so that tests
have the same names there: a name is the path from the project's folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from harness import adaptors, git, options, paths, source
from harness.cluster.request import SourceParcel, archive, digest_of, unpack
from harness.errors import HarnessError, HostFault, LacksRelease, UsageError
from harness.model import Checkout, Plan, Source
from harness.plugin import suite_files
from harness.progress import Progress

#: A tree with fewer files travels as it is: a release would not be worth its download.
SMALL = 5000
_TAG = re.compile(r"v(\d+\.\d+(?:\.\d+)?(?:-rc\d+)?)")
_REPO, _SUITES = "packs", "suites"  # in the cache
_TOKEN = ".cluster-"


class Packer:
    """Makes the packs of one repository; ``start`` is what its worktree was made from.

    After ``whole`` is set, packs are complete, for workers that cannot get a release.
    """

    def __init__(self, start: Source) -> None:
        self.start, self.whole = start, False
        self._thin: tuple[str, str] | None = None

    def parcel(self, repo: Path, base: str, checkout: Checkout) -> tuple[SourceParcel, bytes]:
        """Return the pack of a commit and of those from ``base`` to it, and its description.

        ``repo`` is the worktree that has them.  Raises HostFault if git fails.
        """
        commits = git.run(repo, "rev-list", f"{base}..{checkout.commit}").stdout.split()
        if not checkout.patches or len(commits) != len(checkout.patches):
            base, commits = checkout.commit, []
        release, tree = ("", "") if self.whole else self._release(repo, base)
        objects = [base, *commits]
        listed = ["--objects", "--no-object-names", f"{checkout.commit}^{{tree}}"]
        listed += [f"{commit}^{{tree}}" for commit in [base, *commits]]
        without = [f"^{tree}"] if tree else []
        objects += git.run(repo, "rev-list", *listed, *without).stdout.split()
        edge = [f"-{tree}"] if tree else []  # deltas may be against its files
        names = "".join(f"{name}\n" for name in (*edge, *dict.fromkeys(objects)))
        pack = git.data(repo, "pack-objects", "--quiet", "--stdout", stdin=names)
        parcel = SourceParcel(digest_of(pack), base, checkout.commit, release, tree, self.start)
        return parcel, pack

    def _release(self, repo: Path, base: str) -> tuple[str, str]:
        """Return the newest release below the start and its tree; empty if the tree is small."""
        if self._thin is None:
            files = git.run(repo, "ls-tree", "-r", "--name-only", base).stdout.count("\n")
            words = ("describe", "--tags", "--abbrev=0", "--match=v[0-9]*", self.start.commit)
            name = git.run(self.start.repo, *words, check=False).stdout.strip()
            match = _TAG.fullmatch(name)
            tree = git.object_of(self.start.repo, f"{name}^{{tree}}") if match else ""
            usable = match and tree and files >= SMALL
            self._thin = (match[1], tree) if match and usable else ("", "")
        return self._thin


def ready(parcel: SourceParcel, pack: bytes, token: str, progress: Progress) -> Source:
    """Return the sources of a trial on this worker, unpacked if necessary.

    ``token`` names a file of the driver's cache; if it is in ours, the driver's own sources are
    used.  Raises LacksRelease, and HostFault if the pack is damaged or the disk is full.
    """
    if shares_cache(token):
        return dataclasses.replace(parcel.repo, commit=parcel.base, after=())
    place = paths.cache(_REPO)
    repo, ref = place / "linux.git", f"refs/harness/{parcel.digest}"
    with paths.lock(place / "lock", "the packs of the driver", progress), paths.writing(place):
        if not repo.exists():
            with paths.scratch(repo) as draft:
                git.run(draft, "init", "--quiet", "--bare", "new")
                (draft / "new").rename(repo)
        if git.commit_of(repo, ref) != parcel.commit:
            if digest_of(pack) != parcel.digest:
                raise HostFault("the sources arrived damaged: their checksum is wrong")
            if parcel.release:
                _borrow(repo, _release_repo(parcel, progress))
            _mark_shallow(repo, parcel.base)
            with progress.stage("sources", f"a pack of {len(pack) / 1e6:.1f} MB"):
                git.run(repo, "index-pack", "--stdin", "--fix-thin", stdin=pack)
            git.run(repo, "update-ref", ref, parcel.commit)
    return Source(repo, parcel.base, parcel.repo.name, parcel.repo.origin)


def new_token() -> str:
    """Return a name for a file in a driver's cache; no other driver has the same."""
    return f"{_TOKEN}{secrets.token_hex(8)}"


@contextlib.contextmanager
def token_file(token: str) -> Iterator[None]:
    """Keep the file in this driver's cache during the context; remove those of killed drivers.

    A driver holds a lock on its file, which ends with it.
    """
    file = paths.cache() / token
    with contextlib.ExitStack() as exits:
        with paths.writing(file):
            for other in file.parent.glob(f"{_TOKEN}*"):
                with contextlib.suppress(OSError), other.open("r+") as held:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    other.unlink()
            while not file.exists():  # another driver may have taken it for a killed one's
                fcntl.flock(exits.enter_context(file.open("w")), fcntl.LOCK_EX)
        exits.callback(file.unlink, missing_ok=True)
        yield


def shares_cache(token: str) -> bool:
    """Whether this process uses the driver's cache."""
    return bool(token) and (paths.cache() / token).is_file()


def _release_repo(parcel: SourceParcel, progress: Progress) -> Path:
    # "7.2" would be the newest 7.2.x.
    exact = parcel.release if re.search(r"\..*[.-]", parcel.release) else f"{parcel.release}.0"
    try:
        found = source.release(exact, progress)
    except HarnessError as error:
        raise LacksRelease(error.what, hint=error.hint, details=error.details) from error
    if git.object_of(found.repo, f"{found.commit}^{{tree}}") != parcel.tree:
        raise LacksRelease(f"Linux {parcel.release} has other files here: {found.origin}")
    return found.repo


def _borrow(repo: Path, release: Path) -> None:
    """Let a repository use the objects of a release."""
    file, line = repo / "objects" / "info" / "alternates", f"{release / 'objects'}\n"
    known = file.read_text() if file.exists() else ""
    if line not in known:
        file.write_text(known + line)


def _mark_shallow(repo: Path, commit: str) -> None:
    """Tell git that the parents of a commit did not travel."""
    file = repo / "shallow"
    known = file.read_text() if file.exists() else ""
    if f"{commit}\n" not in known:
        file.write_text(f"{known}{commit}\n")


def pack_suites(plan: Plan) -> bytes:
    """Pack everything that the plan's own suites are made of.

    Raises UsageError for what can only be used on this machine.
    """
    for disk in plan.disks:
        if options.is_disk_file(disk):
            raise UsageError(
                f"--disk {disk} is a file of this machine", hint="--disk 4G, or null_blk"
            )
    found = {file.resolve().as_posix().lstrip("/"): file for file in suite_files.of_plan(plan)}
    return archive(found.items())


def with_suites(plan: Plan, packed: bytes, progress: Progress) -> Plan:
    """Unpack the suites on a worker, unless they are there; return the plan that uses them.

    Raises HostFault if the disk is full.
    """
    top = paths.cache(_SUITES)
    place = top / digest_of(packed)[:24]
    # Another worker with this cache may be unpacking them, or already have tests running there.
    with paths.lock(top / "lock", "the suites of the driver", progress):
        if not place.is_dir():
            unpack(packed, place)
    folder = _moved(plan.folder, place)
    folder.mkdir(parents=True, exist_ok=True)
    suites = tuple(_moved_suite(suite, place) for suite in plan.suites)
    return dataclasses.replace(plan, folder=folder, suites=suites)


def _moved_suite(suite: str, place: Path) -> str:
    if adaptors.parse(suite) or not suite.startswith("/"):
        return suite
    file, colons, test = suite.partition("::")
    return f"{_moved(Path(file), place)}{colons}{test}"


def _moved(path: Path, place: Path) -> Path:
    return place / path.resolve().relative_to("/")
