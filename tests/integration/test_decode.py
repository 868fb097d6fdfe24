# SPDX-License-Identifier: GPL-2.0-only
"""Decoding: a small program stands for vmlinux, scripts of ours for the tree's."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import errors
from harness.cli import main
from harness.decode import (
    Decoded,
    Decoder,
    added_by_commits,
    added_lines,
    decode,
    decode_run,
    render,
)
from harness.model import Checkout, Kernel, Splat
from harness.serial import from_json, to_json

BEFORE = """\
#include "help.h"
static int kept(int x)
{
\treturn x + 1;
}

int nvmet_show(int x)
{
\tint y = kept(x);

\treturn deeper(y) + 1;
}
"""
AFTER = BEFORE.replace(
    "\tint y = kept(x);\n", "\tint y = kept(x);\n\tint z = faulty(y);\n"
).replace("y) + 1", "y) + z")
HEADER = """\
extern volatile int sink;
int deeper(int x);
static inline __attribute__((always_inline)) int faulty(int x)
{
\tsink = x;
\treturn sink;
}
"""
MAIN = """\
volatile int sink;
int nvmet_show(int x);
__attribute__((noinline)) int deeper(int x)
{
\treturn sink + x;
}
void start_kernel(void)
{
\tnvmet_show(sink);
}
"""
# The form of scripts/faddr2line, with the same tools.
FADDR2LINE = """\
#!/bin/bash
object=$1; shift
echo x >> "$(dirname "$0")/calls"
for call; do
    name=${call%+*}; at=${call#*+}; at=${at%/*}
    read -r base size < <(nm -S "$object" | awk -v n="$name" '$4 == n {print $1, $2}')
    [ -n "$base" ] || { echo "no match for $call" >&2; continue; }
    echo "$name+$at/$(printf 0x%x 0x$size):"
    addr2line -fip -e "$object" "$(printf 0x%x $((0x$base + at)))"
    echo
done
"""
DECODE_STACKTRACE = """\
#!/bin/bash
while read -r call; do
    name=${call%+*}; at=${call#*+}; at=${at%/*}
    base=$(nm "$1" | awk -v n="$name" '$3 == n {print $1}')
    [ -n "$base" ] || { echo "$call"; continue; }
    code=$(addr2line -i -e "$1" "$(printf 0x%x $((0x$base + at - 1)))" | tr '\\n' ' ')
    echo "$name (${code% })"
done
"""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "nm", "addr2line", "readelf"))), reason="no compiler here"
)


def git(tree: Path, *words: str) -> str:
    ident = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", "-C", tree, *ident, *words], check=True, text=True, capture_output=True
    )
    return done.stdout.strip()


def build(tree: Path, *flags: str) -> Path:
    """Link the tree's sources; return the file."""
    vmlinux = tree / "vmlinux"
    sources = ["init/main.c", "drivers/nvmet.c", "init/end.c"]
    subprocess.run(
        [
            "gcc",
            "-O2",
            "-nostdlib",
            "-static",
            "-e",
            "start_kernel",
            *flags,
            *sources,
            "-o",
            vmlinux,
        ],
        cwd=tree,
        check=True,
    )
    return vmlinux


def frame(vmlinux: Path, name: str, text: str) -> str:
    """Return the frame "name+offset/size" of the first instruction that comes from a line."""
    table = subprocess.run(["nm", "-n", vmlinux], text=True, capture_output=True).stdout
    rows = [line.split() for line in table.splitlines() if line.split()[-2] in "tT"]
    base = next(int(words[0], 16) for words in rows if words[-1] == name)
    # The kernel's own measure; the last function of a module has only that of the ELF file.
    size = (
        next((int(words[0], 16) for words in rows if int(words[0], 16) > base), base + 0x40) - base
    )
    for offset in range(size):
        said = subprocess.run(
            ["addr2line", "-ie", vmlinux, hex(base + offset)], text=True, capture_output=True
        ).stdout
        if text in said.split("\n")[0]:
            return f"{name}+{offset:#x}/{size:#x}"
    raise AssertionError(f"{text} is not in {name}")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "linux"
    for folder in ("init", "drivers", "scripts"):
        (tree / folder).mkdir(parents=True)
    (tree / "init/main.c").write_text(MAIN)
    (tree / "init/end.c").write_text("int the_end(int x)\n{\n\treturn x;\n}\n")
    (tree / "drivers/nvmet.c").write_text(BEFORE)
    (tree / "drivers/help.h").write_text(HEADER)
    (tree / "scripts/faddr2line").write_text(FADDR2LINE)
    (tree / "scripts/decode_stacktrace.sh").write_text(DECODE_STACKTRACE)
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "base")
    (tree / "drivers/nvmet.c").write_text(AFTER)
    git(tree, "commit", "-qam", "nvmet: be faulty")
    return tree


def splat(vmlinux: Path) -> Splat:
    """A fault in the inlined function, called from a line that the patch added."""
    at = frame(vmlinux, "nvmet_show", "help.h:5")
    return Splat(
        kind="null dereference",
        title="BUG: unable to handle kernel NULL pointer dereference in nvmet_show",
        function="nvmet_show",
        frames=("show_stack+0x1/0x2", at, "ksys_read+0x12/0x34", "m+0x1/0x2 [gone]"),
        lines=(f"RIP: 0010:{at}",),
    )


def patches(tree: Path) -> list[tuple[str, str]]:
    return [(git(tree, "rev-parse", "HEAD"), "nvmet: be faulty")]


def test_frames_have_places_and_patches(tree: Path) -> None:
    vmlinux = build(tree, "-g")
    added = added_by_commits(tree, patches(tree))
    assert added == {
        ("drivers/nvmet.c", 10): "nvmet: be faulty",
        ("drivers/nvmet.c", 12): "nvmet: be faulty",
    }
    decoded = decode(splat(vmlinux), vmlinux, tree, added)
    places = decoded.frames[1].places
    assert [(p.function, p.file, p.line) for p in places] == [
        ("faulty", "drivers/help.h", 5),
        ("nvmet_show", "drivers/nvmet.c", 10),
    ]
    assert [p.patch for p in places] == ["", "nvmet: be faulty"]
    assert [(line.number, bool(line.patch)) for line in places[1].context] == [
        (8, False),
        (9, False),
        (10, True),
        (11, False),
        (12, True),
    ]
    assert decoded.guilty == 1
    assert decoded.patches == ("nvmet: be faulty",)
    assert "another kernel" in decoded.frames[2].why
    assert "gone.ko" in decoded.frames[3].why
    assert from_json(Decoded, json.loads(json.dumps(to_json(decoded)))) == decoded


def test_the_text_has_places_patches_and_context(tree: Path) -> None:
    vmlinux = build(tree, "-g")
    text = render(decode(splat(vmlinux), vmlinux, tree, added_by_commits(tree, patches(tree))))
    assert '      drivers/nvmet.c:10  nvmet_show  added by "nvmet: be faulty"' in text
    assert "      +>    10      int z = faulty(y);" in text
    assert "       >     5      sink = x;" in text
    assert "(1 frame of reporting and common functions skipped)" in text


def test_a_return_address_belongs_to_the_call_before_it(tree: Path) -> None:
    vmlinux = build(tree, "-g", "-fno-optimize-sibling-calls")
    size = frame(vmlinux, "start_kernel", "main.c:9").partition("/")[2]
    after = next(
        f"start_kernel+{offset:#x}/{size}"
        for offset in range(1, int(size, 16))
        if "main.c:9" not in line_at(vmlinux, "start_kernel", offset)
        and "main.c:9" in line_at(vmlinux, "start_kernel", offset - 1)
    )
    stack = Splat("warning", "WARNING in f", frames=("f+0x1/0x2", after))
    assert decode(stack, vmlinux, tree).frames[1].places[0].line == 9
    stood = Splat("warning", "WARNING in f", frames=(after,), lines=(f"RIP: 0010:{after}",))
    assert decode(stood, vmlinux, tree).frames[0].places[0].line != 9


def line_at(vmlinux: Path, name: str, offset: int) -> str:
    table = subprocess.run(["nm", vmlinux], text=True, capture_output=True).stdout
    base = next(int(w.split()[0], 16) for w in table.splitlines() if w.split()[-1] == name)
    return subprocess.run(
        ["addr2line", "-e", vmlinux, hex(base + offset)], text=True, capture_output=True
    ).stdout


def test_all_of_a_run_takes_one_process(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmlinux = build(tree, "-g")
    found = splat(vmlinux)
    counting = tmp_path / "bin" / "addr2line"
    counting.parent.mkdir()
    counting.write_text(
        f'#!/bin/sh\necho x >> {tree}/calls\nexec {shutil.which("addr2line")} "$@"\n'
    )
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    decoder = Decoder(vmlinux, tree)
    assert len(decoder.decode([found] * 3)) == 3
    decoder.decode([found])
    assert len((tree / "calls").read_text().split()) == 1


def test_the_splats_of_a_run(tree: Path) -> None:
    vmlinux, commit = build(tree, "-g"), git(tree, "rev-parse", "HEAD")
    checkout = Checkout(tree, commit, git(tree, "rev-parse", "HEAD^{tree}"), tuple(patches(tree)))
    kernel = Kernel(
        "key", tree, vmlinux, vmlinux, "7.2.13", commit, platform.machine(), vmlinux=vmlinux
    )
    first, second = decode_run([splat(vmlinux)] * 2, kernel, checkout)
    assert first == second
    assert first.patches == ("nvmet: be faulty",)
    assert decode_run([], kernel, checkout) == ()
    (lost,) = decode_run([splat(vmlinux)], dataclasses.replace(kernel, vmlinux=None), checkout)
    assert lost.why == "the kernel's vmlinux was not kept"
    assert [frame.text for frame in lost.frames] == list(splat(vmlinux).frames)


@pytest.mark.parametrize("inlined", ["faulty", "(inlined)"])
def test_a_module_is_looked_up_with_the_trees_scripts(tree: Path, inlined: str) -> None:
    if inlined == "(inlined)":  # what the other script says, in a tree that has only that
        (tree / "scripts/faddr2line").unlink()
    modules, stack = module(tree)
    places = Decoder(build(tree, "-g"), tree, modules=modules).decode([stack])[0].frames[0].places
    assert [(p.function, p.file, p.line) for p in places] == [
        (inlined, "drivers/help.h", 5),
        ("nvmet_show", "drivers/nvmet.c", 10),
    ]


def test_sources_of_the_commit_that_was_built(tree: Path) -> None:
    vmlinux, commit = build(tree, "-g"), git(tree, "rev-parse", "HEAD")
    (tree / "drivers/nvmet.c").write_text("somebody went on\n")
    (decoded,) = Decoder(vmlinux, tree, commit=commit).decode([splat(vmlinux)])
    assert decoded.frames[1].places[1].context[2].text == "\tint z = faulty(y);"


def test_a_kernel_that_was_built_in_another_worktree(tree: Path, tmp_path: Path) -> None:
    build(tree, "-g")
    moved = tree.rename(tmp_path / "elsewhere")
    (decoded,) = Decoder(moved / "vmlinux", moved).decode([splat(moved / "vmlinux")])
    assert decoded.frames[1].places[0].file == "drivers/help.h"
    assert decoded.frames[1].places[1].context[2].text == "\tint z = faulty(y);"


def test_another_kernels_frames_have_no_lines(tree: Path) -> None:
    vmlinux = build(tree, "-g")
    at = frame(vmlinux, "nvmet_show", "help.h:5")
    other = dataclasses.replace(splat(vmlinux), frames=(f"{at}0",))  # ten times its size
    decoded = decode(other, vmlinux, tree)
    assert decoded.frames[0].places == ()
    assert decoded.why == "nvmet_show has a different size in vmlinux: it is from another kernel"


def test_without_debug_info_the_reason_is_given(tree: Path) -> None:
    at = splat(build(tree, "-g"))
    vmlinux = build(tree)
    decoded = decode(at, vmlinux, tree)
    assert "without debug info" in decoded.why
    assert decoded.frames[1].address > 0
    assert "no source lines: the kernel was built without debug info" in render(decoded)


def module(tree: Path) -> tuple[Path, Splat]:
    """Build a module; return the folder of modules and a splat in it."""
    modules = tree / "out/lib/modules/1/kernel"
    modules.mkdir(parents=True)
    subprocess.run(
        ["gcc", "-g", "-O2", "-c", "drivers/nvmet.c", "-o", modules / "nvme-t.ko"],
        cwd=tree,
        check=True,
    )
    at = frame(modules / "nvme-t.ko", "nvmet_show", "help.h:5")
    stack = Splat(
        "warning", "WARNING in f", frames=(f"{at} [nvme_t]",), lines=(f"RIP: 0010:{at} [nvme_t]",)
    )
    return tree / "out", stack


def test_the_verb(
    tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vmlinux = build(tree, "-g")
    at = frame(vmlinux, "nvmet_show", "help.h:5")
    log = tmp_path / "console.log"
    log.write_text(
        "[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
        "[    1.000001] Oops: Oops: 0002 [#1] SMP\n"
        f"[    1.000002] RIP: 0010:{at}\n"
        "[    1.000003] Call Trace:\n[    1.000004]  ksys_read+0x12/0x34\n"
    )
    series = tmp_path / "series"
    series.mkdir()
    git(tree, "format-patch", "-q", "-1", "-o", str(series))
    words = ["splats", str(log), "--vmlinux", str(vmlinux), "--tree", str(tree)]
    assert main([*words, "--series", str(series)]) == errors.BAD
    assert 'nvmet_show  added by "nvmet: be faulty"' in capsys.readouterr().out
    box = tmp_path / "series.mbox"
    box.write_text("".join(file.read_text() for file in series.iterdir()))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    assert main([*words, "--series", str(box)]) == errors.BAD
    assert 'nvmet_show  added by "nvmet: be faulty"' in capsys.readouterr().out
    assert not list((tmp_path / "cache").rglob("*.patch"))
    assert not (tmp_path / "cache/series").exists()
    assert main([*words, "--json"]) == errors.BAD
    (found,) = json.loads(capsys.readouterr().out)["splats"]
    assert found["decoded"]["frames"][0]["places"][1]["line"] == 10


@pytest.mark.parametrize(
    "words",
    [["--vmlinux", "vmlinux"], ["--tree", "."], ["--vmlinux", "nothing", "--tree", "."]],
)
def test_the_verb_needs_a_vmlinux_and_a_tree(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vmlinux").write_text("no ELF")
    (tmp_path / "log").write_text("")
    assert main(["splats", "log", *words]) == errors.USAGE


def test_later_patches_move_and_remove_lines() -> None:
    first = "--- a/f.c\n+++ b/f.c\n@@ -1,2 +1,4 @@\n one\n+new\n+gone\n two\n"
    second = "--- a/f.c\n+++ b/f.c\n@@ -1,4 +1,5 @@\n+top\n+top\n one\n new\n-gone\n two\n"
    renamed = (
        "diff --git a/f.c b/g.c\nsimilarity index 90%\nrename from f.c\nrename to g.c\n"
        "--- a/f.c\n+++ b/g.c\n@@ -5,1 +5,2 @@\n two\n+end\n"
    )
    assert added_lines([("1", first)]) == {("f.c", 2): "1", ("f.c", 3): "1"}
    assert added_lines([("1", first), ("2", second)]) == {
        ("f.c", 1): "2",
        ("f.c", 2): "2",
        ("f.c", 4): "1",
    }
    assert added_lines([("1", first), ("2", second), ("3", renamed)]) == {
        ("g.c", 1): "2",
        ("g.c", 2): "2",
        ("g.c", 4): "1",
        ("g.c", 6): "3",
    }


def test_a_malformed_diff() -> None:
    with pytest.raises(errors.SeriesError, match="cannot be read"):
        added_lines([("1", "--- a/f.c\n+++ b/f.c\n@@ -1,2 +1,4 @@\n one\n")])
