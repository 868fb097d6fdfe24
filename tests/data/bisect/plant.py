# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with a bug that is known: copies of a series, and histories of many commits.

Each NAME.diff beside this file is a bug in a file, most in fs/configfs/file.c, which the series in
patches/ does not touch.  So it can come with any of its patches, or with any commit.  The
same bug at the same place gives the same commits everywhere.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FILE = "fs/configfs/file.c"
_WHEN = "1767225600 +0000"
_WHO = "A Developer <dev@example.com>"
_ITEMS = "tests/guest/configfs/test_items.py"
_MOUNT = "tests/guest/configfs/test_mount.py"

# What the steps of a history touch: code of many corners that every configuration here has, none
# of it a header.
CODE = (
    *(
        f"fs/{name}.c"
        for name in ("stat", "readdir", "select", "pipe", "xattr", "statfs", "utimes")
    ),
    *(f"fs/{name}.c" for name in ("fcntl", "ioctl", "splice", "sync", "seq_file", "libfs", "open")),
    *(f"fs/configfs/{name}.c" for name in ("dir", "inode", "item", "mount", "symlink")),
    *(f"fs/proc/{name}.c" for name in ("uptime", "version", "loadavg", "stat", "meminfo")),
    *(f"lib/{name}.c" for name in ("hexdump", "kstrtox", "cmdline", "ctype", "bitmap", "string")),
    *(f"kernel/{name}.c" for name in ("params", "kthread", "notifier", "reboot", "ucount", "umh")),
    *(f"mm/{name}.c" for name in ("mincore", "madvise", "mlock", "msync", "mremap", "swap")),
    *(f"drivers/nvme/target/{name}.c" for name in ("core", "discovery", "loop", "tcp", "configfs")),
    *(f"net/core/{name}.c" for name in ("utils", "dst", "stream", "scm")),
)
TEXTS = tuple(f"Documentation/filesystems/{name}.rst" for name in ("proc", "configfs", "tmpfs"))
LENGTH = 64


@dataclasses.dataclass(frozen=True)
class Bug:
    """A bug, what shows it (a test, or nothing that is run) and what it says then."""

    name: str
    test: str
    says: str

    @property
    def diff(self) -> str:
        """The change that makes it."""
        return (HERE / f"{self.name}.diff").read_text()

    @property
    def file(self) -> str:
        """The file that it is in."""
        return self.diff.partition("\n+++ b/")[2].partition("\n")[0]


BUGS = {
    bug.name: bug
    for bug in (
        Bug("build", "", "no member named .pages."),
        Bug("panic", "", "attributes do not fit their buffer"),
        Bug("errno", f"{_ITEMS}::TestAttributes::test_one_without_a_way_to_read_refuses_it_"
            "even_to_root[initial]", "Errno 22"),
        Bug("config", f"{_ITEMS}::TestAttributes::test_one_without_a_way_to_read_refuses_it_"
            "even_to_root[initial]", "Errno 22"),
        Bug("freed", f"{_MOUNT}::TestItems::test_an_attribute_reads_back_what_was_written",
            "KASAN: slab-use-after-free"),
        Bug("deadlock", f"{_MOUNT}::TestItems::test_an_attribute_reads_back_what_was_written",
            "possible deadlock in configfs_read_iter"),
        Bug("leak", f"{_MOUNT}::TestItems::test_an_attribute_reads_back_what_was_written",
            "more of configfs_dir_cache"),
        Bug("selftest", "kselftest:filesystems/nsfs::iterate_mntns::"
            "iterate_mount_namespaces.iterate_backward", "iterate_mntns.c"),
        Bug("kunit", "kunit:ext4_inode_test::ext4_inode_test::inode_test_xtimestamp_decoding::"
            "2378-04-22 Lower bound of 32bit >=0 timestamp. All extra sec bits on", "EXPECTATION"),
        Bug("race", f"{HERE}/test_opening.py", "EAGAIN"),
    )
}  # fmt: skip


def series(given: Path, bug: Bug, at: int, folder: Path, mark: str = "") -> Path:
    """Copy a series with the bug in its patch ``at``, counted from 1.

    With a ``mark``, a word, its first patch adds a file of that name: nobody has built it yet.
    """
    shutil.copytree(given, folder)
    toml = folder / "series.toml"
    toml.write_text(toml.read_text().replace('"../', f'"{given.parent}/'))
    _append(folder, at, bug.diff)
    if mark:
        file = f"Documentation/{mark}.txt"
        head = f"diff --git a/{file} b/{file}\nnew file mode 100644\n--- /dev/null\n"
        _append(folder, 1, f"{head}+++ b/{file}\n@@ -0,0 +1 @@\n+{mark}\n")
    return folder


def _append(folder: Path, number: int, diff: str) -> None:
    """Put a change at the end of a patch."""
    (mail,) = folder.glob(f"{number:04}-*.patch")
    head, cut, tail = mail.read_text().rpartition("\n-- \n")
    mail.write_text(f"{head}\n{diff.rstrip(chr(10))}{cut}{tail}")


def history(
    repo: Path,
    start: str,
    bug: Bug | None,
    at: int,
    length: int = LENGTH,
    until: int = 0,
    mark: str = "step",
) -> list[str]:
    """Make commits on top of ``start`` in ``repo``; gives their ids, oldest first.

    The bug comes with commit ``at``, counted from 1, and goes with ``until``.  Every other commit
    makes another kernel, but each eighth changes only a text, and each ninth only a comment.
    """
    name = f"refs/planted/{bug.name if bug else 'none'}-{at}-{until}-{length}-{mark}"
    texts: dict[str, str] = {}
    lines = []
    for number in range(1, length + 1):
        if bug and number == at:
            subject, file, text = "fs/configfs: rework files", FILE, _with(repo, start, bug)
        elif bug and number == until:
            subject, file, text = "fs/configfs: mend files", FILE, _text(repo, start, FILE)
        else:
            subject, file, text = _step(number, repo, start, texts, mark)
        texts[file] = text
        above = f"from {start}\n" if number == 1 else ""
        lines += [
            f"commit {name}\nauthor {_WHO} {_WHEN}\ncommitter {_WHO} {_WHEN}\n",
            _data(f"{subject}\n\nStep {number} of {length}.\n"),
            f"{above}M 100644 inline {file}\n{_data(text)}\n",
        ]
    _git(repo, "fast-import", "--quiet", "--force", stdin="".join(lines))
    return _git(repo, "rev-list", "--reverse", f"{start}..{name}").split()


def _step(
    number: int, repo: Path, start: str, texts: dict[str, str], mark: str
) -> tuple[str, str, str]:
    """Make a commit that breaks nothing: its subject, its file and that file's new text."""
    names = TEXTS if number % 8 == 0 else CODE
    file = names[number % len(names)]
    before = texts.get(file) or _text(repo, start, file)
    if number % 8 == 0:
        return f"docs: step {number}", file, f"{before}\n.. Step {number} was here.\n"
    stem = file.rpartition(".")[0].replace("/", ": ")
    if number % 9 == 0:
        return f"{stem}: say what it is", file, f"{before}\n/* Step {number} was here. */\n"
    more = f'\nstatic const char history_step_{number}[] __used = "{mark} {number}";\n'
    return f"{stem}: step {number}", file, before + more


def _with(repo: Path, start: str, bug: Bug) -> str:
    """Give the text of FILE with the bug in it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        file.parent.mkdir(parents=True)
        file.write_text(_text(repo, start, FILE))
        _git(Path(folder), "apply", "-", stdin=bug.diff, elsewhere=True)
        return file.read_text()


def _text(repo: Path, commit: str, file: str) -> str:
    return _git(repo, "show", f"{commit}:{file}")


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _git(repo: Path, *words: str, stdin: str = "", elsewhere: bool = False) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    env |= {"GIT_CEILING_DIRECTORIES": str(repo.parent)} if elsewhere else {}
    done = subprocess.run(
        ["git", *words], cwd=repo, env=env, input=stdin.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8")
