# SPDX-License-Identifier: GPL-2.0-only
"""Whether two kernels are the same: real ELF files with debug info and build ids."""

from __future__ import annotations

import subprocess
from pathlib import Path

import faketree
import pytest

from harness import build
from harness.check import layout
from harness.model import Checkout, Kernel, Toolchain

GCC = Toolchain("x86_64", "gcc", "gcc")
LINE = "#define NAME2(line) initcall_##line\n#define NAME(line) NAME2(line)\n"
CODE = f"{LINE}static int __attribute__((used)) NAME(__LINE__);\n"
CODE += "struct demo { int a; long b; };\nlong run(struct demo *d)\n{\n\treturn d->a + d->b;\n}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return faketree.make(tmp_path / "tree")


def made(place: Path, tree: Path, code: str, image: str = "image") -> tuple[Kernel, Checkout]:
    """Link a "kernel" of this code, as big ones are: debug info, and an id of all of it."""
    place.mkdir()
    (place / "x.c").write_text(code)
    words = ["gcc", "-g", "-O1", "-shared", "-nostdlib", "-Wl,--build-id=sha1", "-o"]
    subprocess.run([*words, "../vmlinux", "x.c"], cwd=place, check=True)
    (place.parent / "vmlinux").rename(place / "vmlinux")
    (place / "image").write_text(image)
    file = place / "vmlinux"
    kernel = Kernel("k", place, place / "image", place / "config", "7.2", "c", "x86_64", file)
    return kernel, faketree.checkout(tree)


def test_a_comment_does_not_change_the_loaded_kernel(tree: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "a", tree, CODE)
    second = made(tmp_path / "b", tree, f"/* more\n * words\n */\n{CODE}", "its build id differs")
    third = made(tmp_path / "c", tree, CODE.replace("+", "-"))
    texts = [kernel.vmlinux.read_bytes() for kernel, _ in (first, second) if kernel.vmlinux]
    assert texts[0] != texts[1]
    names = [build.loaded_digest(*one, GCC) for one in (first, second, third)]
    assert names[0] == names[1]
    assert names[0] != names[2]


def test_the_decompressor_counts_by_its_sources(tree: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "a", tree, CODE)
    faketree.commit(tree, "x86: unpack otherwise", {"arch/x86/boot/head.S": "/* x */\n"})
    again = (first[0], faketree.checkout(tree))
    assert build.loaded_digest(*first, GCC) != build.loaded_digest(*again, GCC)


def test_without_vmlinux_the_image_counts(tree: Path, tmp_path: Path) -> None:
    def bare(name: str, image: str) -> tuple[Kernel, Checkout]:
        (tmp_path / name).write_text(image)
        file = tmp_path / name
        kernel = Kernel("k", tmp_path, file, file, "7.2", "c", "x86_64")
        return kernel, faketree.checkout(tree)

    same = [build.loaded_digest(*bare(name, "image"), GCC) for name in ("a", "b")]
    assert same[0] == same[1] != build.loaded_digest(*bare("c", "other"), GCC)


@pytest.mark.skipif(not layout.installed(), reason="pahole is not installed")
def test_pahole_reads_a_structure(tree: Path, tmp_path: Path) -> None:
    before = layout.read(made(tmp_path / "a", tree, CODE)[0])
    after = layout.read(made(tmp_path / "b", tree, CODE.replace("int a;", "int a, more, c;"))[0])
    assert before is not None
    assert after is not None
    (found,) = layout.compare_layouts(before, after)
    assert found.text == "struct demo: 16 to 24 bytes: new more, c; moved b"
