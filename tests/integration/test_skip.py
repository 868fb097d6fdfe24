# SPDX-License-Identifier: GPL-2.0-only
"""Objects are skipped when a header only gained or lost names that they do not mention.

A small tree in git, compiled by the real compiler into a folder as make leaves it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import faketree
import pytest

from harness import build, git, kconfig, model
from harness.build import skip
from harness.errors import NotBuilt
from harness.model import Checkout, Toolchain
from harness.progress import Progress

QUIET = Progress(quiet=True)
GCC = Toolchain("x86_64", "gcc", "gcc")
PAST = 10**9  # nanoseconds of a second
HEADER = """\
#ifndef _MOUNT_H
#define _MOUNT_H
#include <linux/types.h>
struct dentry;
int mnt_old(struct dentry *d);
#endif
"""
NEW = "int mnt_new(struct dentry *root);\n"
FILES = {
    "include/linux/types.h": "typedef unsigned char u8;\n",
    "include/linux/mount.h": HEADER,
    "include/linux/inner.h": "#include <linux/mount.h>\n",
    "fs/plain.c": "#include <linux/mount.h>\nint plain(void) { return 1; }\n",
    "fs/inner.c": "#include <linux/inner.h>\nint inner(void) { return 2; }\n",
    "fs/user.c": "#include <linux/mount.h>\nint user(void) { return mnt_new(0); } // mnt_newer\n",
    "fs/other.c": "int other(void) { return 3; }\n",
    "fs/word.c": "#define root r\n#include <linux/mount.h>\nint word(int r) { return root; }\n",
    "fs/gen.c": "#include <linux/mount.h>\n#include <generated/g.h>\nint gen(void) { return G; }\n",
    "fs/flag.c": "#include <linux/mount.h>\nint flag(void) { return FLAG; }\n",
    "fs/entry.S": '#include "../include/linux/guard.h"\n',
    "include/linux/guard.h": "#ifndef G\n#define G\n#endif\n",
    "lib/lib.c": "#include <linux/mount.h>\nint lib(void) { return 4; }\n",
    "drivers/mod.c": "#include <linux/mount.h>\nint mod(void) { return 5; }\n",
}
FLAGS = {"fs/flag.o": ["-DFLAG=8"]}
ALL = {"fs/plain.o", "fs/inner.o", "fs/gen.o", "fs/flag.o", "lib/lib.o", "drivers/mod.o"}


class Tree:
    """A repository and the folder it is built in."""

    def __init__(self, top: Path) -> None:
        self.path, self.out = top / "linux", top / "out"
        self.path.mkdir(parents=True)
        for folder in ("include/generated", "include/config"):
            (self.out / folder).mkdir(parents=True)
        (self.out / "include/generated/g.h").write_text("#define G 6\n")
        (self.out / ".config").write_text("CONFIG_A=y\nCONFIG_MODULES=y\n")
        self.git("init", "--quiet")
        self.now = time.time_ns() - 1000 * PAST
        self.touch(self.out / "include/generated/g.h")
        self.old = self.commit(FILES)
        self.build()
        self.warned: dict[str, list[model.CompilerWarning]] = {}

    def git(self, *words: str) -> str:
        return faketree.git(self.path, *words)

    def commit(self, files: Mapping[str, str | None]) -> Checkout:
        """Write files, None for one to delete; what is written is newer than all before."""
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text)
            if text is not None:
                self.touch(file)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "files")
        return Checkout(self.path, self.git("rev-parse", "HEAD"), self.git("rev-parse", "HEAD:"))

    def touch(self, file: Path) -> None:
        self.now += PAST
        os.utime(file, ns=(self.now, self.now))

    def sources(self) -> dict[str, Path]:
        found = sorted(file for kind in ("c", "S") for file in self.path.rglob(f"*.{kind}"))
        return {str(file.relative_to(self.path).with_suffix(".o")): file for file in found}

    def compile(self, name: str, source: Path, to: Path | None = None) -> None:
        """Compile as make does: the object, then what it depends on beside it."""
        file = self.out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        depends = file.with_suffix(".d")
        argv = ["gcc", "-Iinclude", f"-I{self.path}/include", "-MMD", f"-MF{depends}", "-O2"]
        argv += ["-Wno-implicit-function-declaration", *FLAGS.get(name, [])]
        argv += ["-c", "-o", str(to or file), str(source)]
        subprocess.run(argv, cwd=self.out, check=True)
        words = depends.read_text().replace("\\\n", " ").split()[2:]
        lines = "".join(f"  {word} \\\n" for word in ("$(wildcard include/config/A)", *words))
        record = f"savedcmd_{name} := {' '.join(argv)}\n\nsource_{name} := {source}\n\n"
        record += f"deps_{name} := \\\n{lines}\n{name}: $(deps_{name})\n\n$(deps_{name}):\n\n"
        record += f"{name}: $(wildcard ./tools/objtool)\n"
        file.with_name(f".{file.name}.cmd").write_text(record)

    def build(self) -> None:
        """Compile everything and link it as make does; record that."""
        for name, source in self.sources().items():
            self.compile(name, source)
            self.touch(self.out / name)
        inside = [name for name in self.sources() if name.startswith("fs/")]
        for archive, names in {"vmlinux.a": inside, "lib/lib.a": ["lib/lib.o"]}.items():
            (self.out / archive).unlink(missing_ok=True)
            subprocess.run(["ar", "cDPrST", archive, *names], cwd=self.out, check=True)
        (self.out / ".vmlinux.o.cmd").write_text("savedcmd_vmlinux.o := ld lib/lib.a --end-group\n")
        (self.out / "modules.order").write_text("drivers/both.o\n")
        (self.out / "drivers/both.mod").write_text("drivers/mod.o\n")
        skip.after_make(self.old, self.out)
        self.touch(self.out / ".harness-built")

    def skip(self, checkout: Checkout) -> set[str]:
        """Return the skipped objects: only they have a new time, and their code stays the same."""
        names = self.sources()
        before = {name: (self.out / name).stat().st_mtime_ns for name in names}
        self.found = skip.before_make(checkout, self.out, GCC, self.warned)
        after = {name: (self.out / name).stat().st_mtime_ns for name in names}
        moved = {name for name in names if before[name] != after[name]}
        assert moved == set(self.found.objects)
        for name in moved:
            fresh = self.out / "fresh.o"
            self.compile(name, names[name], fresh)
            assert fresh.read_bytes() == (self.out / name).read_bytes()
        return moved

    def check_out(self, checkout: Checkout) -> None:
        git.run(self.path, *git.LOGGED, "checkout", "--quiet", "--detach", checkout.commit)

    def there_and_back(self, *files: str) -> None:
        """Check out other content of these files and what was built, as for another folder."""
        other = self.commit({name: f"{(self.path / name).read_text()}/* x */\n" for name in files})
        for checkout in (self.old, other, self.old):
            self.check_out(checkout)
        for name in files:
            self.touch(self.path / name)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def mount(piece: str) -> dict[str, str | None]:
    return {"include/linux/mount.h": HEADER.replace("#endif", f"{piece}#endif")}


def test_a_prototype_compiles_only_what_may_use_it(tree: Tree) -> None:
    found = tree.skip(tree.commit(mount(NEW)))
    assert found == ALL
    assert str(tree.found) == "6 skipped: include/linux/mount.h only gained mnt_new()"
    assert len(tree.found.reasons) == 2


def test_a_removed_prototype_compiles_only_what_may_use_it(tree: Tree) -> None:
    tree.old = tree.commit(mount(NEW))
    tree.build()
    assert tree.skip(tree.commit(mount(""))) == ALL
    assert str(tree.found) == "6 skipped: include/linux/mount.h only lost mnt_new()"


def test_users_of_a_lost_name_may_paste_it_together(tree: Tree) -> None:
    """A caller through a macro must be compiled: it may not build any more."""
    call = "#define call(a) mnt_ ## a(0)\n"
    user = f"#include <linux/mount.h>\n{call}int plain(void) {{ return call(new); }}\n"
    tree.old = tree.commit({**mount(NEW), "fs/plain.c": user})
    tree.build()
    assert tree.skip(tree.commit(mount(NEW.replace("int", "long")))) == ALL - {"fs/plain.o"}
    assert str(tree.found) == "5 skipped: include/linux/mount.h only changed mnt_new()"


def test_a_comment_compiles_nothing(tree: Tree) -> None:
    found = tree.skip(tree.commit(mount("/* mnt_new */\n")))
    assert found == {*ALL, "fs/user.o", "fs/word.o"}


def test_an_uncertain_change_skips_nothing(tree: Tree) -> None:
    assert tree.skip(tree.commit(mount("static inline int f(void) { return 1; }\n"))) == set()
    assert (str(tree.found), tree.found.reasons) == ("0 skipped: ", ())


def test_what_a_make_that_failed_did_not_reach_is_skipped_by_the_next(tree: Tree) -> None:
    """What the first one skipped or compiled has a later time, and make decides about it."""
    new = tree.commit(mount(NEW))
    assert tree.skip(new) == ALL
    tree.compile("fs/user.o", tree.path / "fs/user.c")
    assert tree.skip(new) == set()
    tree.check_out(tree.old)
    tree.touch(tree.path / "include/linux/mount.h")
    assert tree.skip(tree.old) == {"fs/word.o"}


def test_nothing_is_skipped_if_a_make_that_failed_has_touched_a_stamp(tree: Tree) -> None:
    """An object that it did not reach names the option, and would get a later time."""
    (tree.out / "include/config/A").touch()
    assert tree.skip(tree.commit(mount(NEW))) == set()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"tree": 1', '{"tree": "x", "config": "y"}'])
def test_a_damaged_record_skips_nothing(tree: Tree, text: str) -> None:
    (tree.out / ".harness-built").write_text(text)
    assert tree.skip(tree.commit(mount(NEW))) == set()


def test_a_tree_that_is_lost_skips_nothing(tree: Tree) -> None:
    record = tree.out / ".harness-built"
    record.write_text(record.read_text().replace(tree.old.tree, "1" * 40))
    assert tree.skip(tree.commit(mount(NEW))) == set()


def test_another_config_skips_as_much_since_make_touches_its_stamps_later(tree: Tree) -> None:
    (tree.out / ".config").write_text("CONFIG_A=y\nCONFIG_B=y\nCONFIG_MODULES=y\n")
    assert tree.skip(tree.commit(mount(NEW))) == ALL
    stamp = tree.out / "include/config/B"
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()  # as make does, which then compiles what names the option
    assert all((tree.out / name).stat().st_mtime_ns <= stamp.stat().st_mtime_ns for name in ALL)


def test_symbol_versions_skip_nothing(tree: Tree) -> None:
    (tree.out / ".config").write_text("CONFIG_A=y\nCONFIG_MODVERSIONS=y\n")
    tree.build()
    assert tree.skip(tree.commit(mount(NEW))) == set()


def test_objects_compiled_since_are_not_skipped(tree: Tree) -> None:
    tree.touch(tree.out / "fs/plain.o")
    assert tree.skip(tree.commit(mount(NEW))) == ALL - {"fs/plain.o"}


def test_objects_outside_the_last_kernel_are_not_skipped(tree: Tree) -> None:
    (tree.out / "modules.order").write_text("")
    subprocess.run(["ar", "dP", "vmlinux.a", "fs/plain.o"], cwd=tree.out, check=True)
    (tree.out / ".vmlinux.o.cmd").unlink()
    gone = {"fs/plain.o", "lib/lib.o", "drivers/mod.o"}
    assert tree.skip(tree.commit(mount(NEW))) == ALL - gone


@pytest.mark.parametrize("text", ["#define G 6\n", "#define G mnt_new\n", "#define root 6\n"])
def test_a_generated_header_that_changed_is_seen(tree: Tree, text: str) -> None:
    file = tree.out / "include/generated/g.h"
    file.write_text(text)
    if text == "#define G 6\n":
        tree.touch(file)  # newer than the objects
    else:
        os.utime(file, ns=(0, 0))
    assert tree.skip(tree.commit(mount(NEW))) == ALL - {"fs/gen.o"}


def test_other_changes_that_make_sees_are_left_to_make(tree: Tree) -> None:
    (tree.out / "tools").mkdir()
    (tree.out / "tools/objtool").touch()
    tree.touch(tree.out / "tools/objtool")
    assert tree.skip(tree.commit(mount(NEW))) == set()


def test_readers_of_another_changed_file_are_compiled(tree: Tree) -> None:
    changed = {**mount(NEW), "fs/plain.c": FILES["fs/plain.c"] + "// more\n"}
    changed["include/linux/inner.h"] = FILES["include/linux/inner.h"] + "extern int x;\n"
    found = tree.skip(tree.commit(changed))
    assert found == ALL - {"fs/plain.o", "fs/inner.o"}


def test_a_file_that_changed_with_an_old_time(tree: Tree) -> None:
    checkout = tree.commit({**mount(NEW), "include/linux/inner.h": HEADER})
    os.utime(tree.path / "include/linux/inner.h", ns=(0, 0))
    assert "fs/inner.o" not in tree.skip(checkout)


def test_readers_of_a_removed_file_are_compiled(tree: Tree) -> None:
    checkout = tree.commit({**mount(NEW), "include/linux/inner.h": None})
    names = set(skip.before_make(checkout, tree.out, GCC, {}).objects)
    assert names == ALL - {"fs/inner.o"}


def test_a_new_file_may_be_found_before_another(tree: Tree) -> None:
    more = {"arch/x86/include/linux/inner.h": "/* found first? */\n"}
    assert tree.skip(tree.commit({**mount(NEW), **more})) == ALL - {"fs/inner.o"}


def test_macros_from_the_command_line_count(tree: Tree) -> None:
    assert tree.skip(tree.commit(mount("int mnt_new(int FLAG);\n"))) >= {"fs/plain.o"}
    assert "fs/flag.o" not in tree.found.objects


def test_assembly_is_compiled_again(tree: Tree) -> None:
    text = "#ifndef G\n#define G\n/* a comment */\n#endif\n"
    assert tree.skip(tree.commit({"include/linux/guard.h": text})) == set()


def test_objects_with_a_warning_in_the_header_are_compiled(tree: Tree) -> None:
    tree.warned = {"fs/plain.o": [model.CompilerWarning("include/linux/mount.h", 5, "odd")]}
    tree.warned["fs/inner.o"] = [model.CompilerWarning("fs/inner.c", 2, "odd")]
    assert tree.skip(tree.commit(mount(NEW))) == ALL - {"fs/plain.o"}


def test_two_headers_that_concern_each_other(tree: Tree) -> None:
    types = FILES["include/linux/types.h"]
    guarded = f"#ifndef _TYPES_H\n#define _TYPES_H\n{types}{{}}#endif\n"
    tree.old = tree.commit({"include/linux/types.h": guarded.format("")})
    tree.build()
    macro = guarded.format("#define root 1\n")
    found = tree.skip(tree.commit({**mount(NEW), "include/linux/types.h": macro}))
    assert found == set()


def test_two_headers_that_do_not(tree: Tree) -> None:
    types = FILES["include/linux/types.h"]
    checkout = tree.commit({**mount(NEW), "include/linux/types.h": f"/* types */ {types}"})
    assert tree.skip(checkout) == ALL
    assert tree.found.why == (
        "include/linux/mount.h only gained mnt_new()",
        "include/linux/types.h differs only in comments",
    )


def test_a_header_whose_mode_changed_is_another_file(tree: Tree) -> None:
    tree.commit(mount(NEW))
    (tree.path / "include/linux/mount.h").chmod(0o755)
    tree.git("commit", "--quiet", "-am", "mode")
    checkout = tree.commit({"fs/other.c": "\n"})
    assert tree.skip(checkout) == set()


def test_a_header_behind_a_link(tree: Tree) -> None:
    (tree.path / "include/alias").symlink_to("linux")
    text = FILES["fs/plain.c"].replace("linux/", "alias/")
    tree.old = tree.commit({"fs/plain.c": text})
    tree.build()
    assert tree.skip(tree.commit(mount(NEW))) == ALL - {"fs/plain.o"}


def test_a_worktree_behind_a_link(tree: Tree, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree.path)
    made = tree.commit(mount(NEW))
    assert tree.skip(Checkout(link, made.commit, made.tree)) == ALL


def test_only_a_whole_build_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CCACHE_DISABLE", "1")
    path, gcc = faketree.make(tmp_path / "tree"), build.toolchain()
    request = kconfig.request(["base", "nvmet"], [], [])

    def made() -> None:
        checkout = faketree.checkout(path)
        kconfig.configure(path, out, request, gcc, QUIET)
        build.build(checkout, out, build.key(checkout, request, gcc), gcc, QUIET)

    out = build.folder(faketree.checkout(path), request, gcc)
    made()
    record = json.loads((out / ".harness-built").read_text())
    assert record["tree"] == faketree.checkout(path).tree
    file = path / "fs/configfs/dir.c"
    file.write_text(file.read_text() + "broken\n")
    faketree.git(path, "commit", "--quiet", "-am", "broken")
    with pytest.raises(NotBuilt):
        made()
    assert json.loads((out / ".harness-built").read_text()) == record


def test_what_was_only_checked_out_again_compiles_nothing(tree: Tree) -> None:
    tree.there_and_back("include/linux/types.h", "fs/other.c")
    assert tree.skip(tree.old) == ALL | {"fs/user.o", "fs/word.o", "fs/other.o"}
    assert tree.found.why == ("2 files only checked out again",)


def test_what_is_affected_is_compiled_whatever_else_has_a_new_time(tree: Tree) -> None:
    tree.there_and_back("include/linux/types.h")
    new = tree.commit(mount(NEW) | {"fs/inner.c": "#include <linux/inner.h>\nint inner;\n"})
    assert tree.skip(new) == ALL - {"fs/inner.o"}
    assert "1 file only checked out again" in tree.found.why


def test_a_file_that_changed_for_good_is_no_file_checked_out_again(tree: Tree) -> None:
    tree.there_and_back("include/linux/inner.h")
    text = f"{FILES['include/linux/inner.h']}enum {{ INNER }};\n"
    new = tree.commit({"include/linux/inner.h": text})
    assert tree.skip(new) == set()


def test_a_file_with_a_new_time_of_which_no_log_tells(tree: Tree) -> None:
    tree.touch(tree.path / "include/linux/types.h")
    assert tree.skip(tree.old) == set()


def test_a_generated_header_is_not_checked_out(tree: Tree) -> None:
    tree.there_and_back("include/linux/types.h")
    tree.touch(tree.out / "include/generated/g.h")
    assert tree.skip(tree.old) == ALL - {"fs/gen.o"} | {"fs/user.o", "fs/word.o"}
