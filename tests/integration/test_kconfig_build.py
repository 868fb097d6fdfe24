# SPDX-License-Identifier: GPL-2.0-only
"""Configure and build a fake tree with the real make and compiler."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faketree
import pytest
from patience import PATIENCE

from harness import build, kconfig, paths, process
from harness.errors import HostFault, NotBuilt, NotConfigured
from harness.model import Kernel, Request, Toolchain
from harness.progress import Progress

QUIET = Progress(quiet=True)
NAMES = ["base", "nvmet"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CCACHE_DISABLE", "1")
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return faketree.make(tmp_path / "tree")


@pytest.fixture(scope="module")
def gcc() -> Toolchain:
    return build.toolchain()


def asked(*assignments: str) -> Request:
    return kconfig.request(NAMES, assignments, [])


def whole(tree: Path, gcc: Toolchain, request: Request | None = None) -> Kernel:
    """Configure and build what is checked out in ``tree``."""
    request = request or asked()
    checkout = faketree.checkout(tree)
    out = build.folder(checkout, request, gcc)
    kconfig.configure(tree, out, request, gcc, QUIET)
    return build.build(checkout, out, build.key(checkout, request, gcc), gcc, QUIET)


def log(kernel: Kernel) -> str:
    assert kernel.log is not None
    return kernel.log.read_text()


def test_requested_options_land(tree: Path, gcc: Toolchain, tmp_path: Path) -> None:
    config = kconfig.configure(tree, tmp_path / "out", asked(), gcc, QUIET)
    assert kconfig.compare(asked(), config.read_text()) == []
    assert config == tmp_path / "out/.config"


def test_an_unchanged_config_keeps_its_time(tree: Path, gcc: Toolchain, tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = kconfig.configure(tree, out, asked(), gcc, QUIET)
    os.utime(config, (1, 1))
    kconfig.configure(tree, out, asked(), gcc, QUIET)
    assert config.stat().st_mtime == 1
    kconfig.configure(tree, out, asked("FAKE_FEATURE=y"), gcc, QUIET)
    assert config.stat().st_mtime > 1


def test_the_config_is_not_made_again_until_kconfig_changes(
    tree: Path, gcc: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = whole(tree, gcc).folder.parents[1] / "builds"
    out = next(path for path in out.iterdir() if path.is_dir())
    calls: list[object] = []
    real = process.run

    def counted(argv: process.Argv, **options: Any) -> process.Result:
        calls.append(argv)
        return real(argv, **options)

    monkeypatch.setattr(process, "run", counted)
    kconfig.configure(tree, out, asked(), gcc, QUIET)
    assert not calls
    (tree / "Kconfig").write_text((tree / "Kconfig").read_text() + "\n")
    kconfig.configure(tree, out, asked(), gcc, QUIET)
    assert len(calls) == 1
    kconfig.configure(tree, out, asked("FAKE_FEATURE=y"), gcc, QUIET)
    assert len(calls) == 2
    (out / ".config").write_text("CONFIG_FAKE_FEATURE=y\n")
    kconfig.configure(tree, out, asked("FAKE_FEATURE=y"), gcc, QUIET)
    assert len(calls) == 3


def test_a_change_that_make_need_not_follow_costs_one_configure_only(
    tree: Path, gcc: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked()
    out = build.folder(faketree.checkout(tree), request, gcc)
    whole(tree, gcc)
    record = out / "include/config/auto.conf.cmd"
    before = record.stat().st_mtime_ns
    os.utime(tree / "Makefile")
    kconfig.configure(tree, out, request, gcc, QUIET)
    assert record.stat().st_mtime_ns == before  # make has had no cause to write it again

    def never(*_words: Any, **_options: Any) -> None:
        raise AssertionError("configured again")

    monkeypatch.setattr(process, "run", never)
    kconfig.configure(tree, out, request, gcc, QUIET)


def test_a_foreign_environment_changes_nothing(
    tree: Path, gcc: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARCH", "CC", "O", "MAKEFLAGS", "KCONFIG_CONFIG", "LANG", "KBUILD_OUTPUT", "V"):
        monkeypatch.setenv(name, "nonsense" if name != "MAKEFLAGS" else "--dry-run")
    config = kconfig.configure(tree, tmp_path / "out", asked(), gcc, QUIET)
    assert kconfig.compare(asked(), config.read_text()) == []


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("FAKE_DRIVER=y", "depends on FAKE_FEATURE, which is n"),
        ("FAKE_HIDDEN=n", "no prompt and is on by default"),
        ("FAKE_FEATUER=y", "no such option"),
    ],
)
def test_what_does_not_land_is_explained(
    tree: Path, gcc: Toolchain, tmp_path: Path, assignment: str, reason: str
) -> None:
    with pytest.raises(NotConfigured) as caught:
        kconfig.configure(tree, tmp_path / "out", asked(assignment), gcc, QUIET)
    assert reason in caught.value.what
    assert f"CONFIG_{assignment} was requested (command line)" in caught.value.what
    assert caught.value.hint
    assert not (tmp_path / "out/.config").exists()


def test_several_missing_options_are_all_reported(
    tree: Path, gcc: Toolchain, tmp_path: Path
) -> None:
    request = asked("FAKE_DRIVER=y", "FAKE_SELECTED=n", "FAKE_SELECTOR=y")
    with pytest.raises(NotConfigured) as caught:
        kconfig.configure(tree, tmp_path / "out", request, gcc, QUIET)
    assert "and 1 more" in caught.value.what
    assert "selected by FAKE_SELECTOR" in caught.value.details


def test_a_broken_kconfig_is_the_trees_fault(tree: Path, gcc: Toolchain, tmp_path: Path) -> None:
    (tree / "scripts/conf.py").write_text("raise SystemExit('Kconfig:1: syntax error')")
    with pytest.raises(NotConfigured) as caught:
        kconfig.configure(tree, tmp_path / "out", asked(), gcc, QUIET)
    assert "Kconfig:1: syntax error" in caught.value.details


def test_a_compiler_that_the_kernel_refuses_is_the_hosts_fault(
    tree: Path, gcc: Toolchain, tmp_path: Path
) -> None:
    said = "*** C compiler is too old. Sorry, this C compiler is not supported."
    (tree / "scripts/conf.py").write_text(f"raise SystemExit({said!r})")
    with pytest.raises(HostFault, match="cannot be built with gcc"):
        kconfig.configure(tree, tmp_path / "out", asked(), gcc, QUIET)


def test_a_folder_that_is_not_a_kernel_tree_is_refused(gcc: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="not a kernel tree"):
        kconfig.configure(tmp_path, tmp_path / "out", asked(), gcc, QUIET)


def test_a_kernel_is_built_and_found(tree: Path, gcc: Toolchain) -> None:
    kernel = whole(tree, gcc)
    key = build.key(faketree.checkout(tree), asked(), gcc)
    assert kernel.release == "7.2.13"
    assert kernel.image.stat().st_size > 0
    assert not kernel.reused
    assert kernel.warnings == ()
    found = build.find(key)
    assert found is not None
    assert found.reused
    assert found.commit == faketree.git(tree, "rev-parse", "HEAD")
    assert "  CC      fs/configfs/dir.o" in log(found)
    assert kconfig.compare(asked(), found.config.read_text()) == []


def test_a_lean_kernel_has_no_image_and_no_debug_info(tree: Path, gcc: Toolchain) -> None:
    makefile = (tree / "Makefile").read_text().replace("-Wall", "-g -Wall")
    faketree.commit(tree, "say where", {"Makefile": makefile})
    request, checkout = asked(), faketree.checkout(tree)
    out = build.folder(checkout, request, gcc)
    kconfig.configure(tree, out, request, gcc, QUIET)
    assert build.can_be_lean(out, gcc)
    key = build.key(checkout, request, gcc)
    kernel = build.build(checkout, out, build.lean(key), gcc, QUIET)
    assert kernel.vmlinux is not None
    assert kernel.image.samefile(kernel.vmlinux)
    assert not (out / "arch/x86/boot/bzImage").exists()
    assert b".debug_info" not in kernel.vmlinux.read_bytes()
    assert build.find(key) is None, "nobody else is given one"


@pytest.mark.parametrize("option", ["PVH=n", "DEBUG_INFO_BTF=y"])
def test_not_every_kernel_can_be_lean(tree: Path, gcc: Toolchain, option: str) -> None:
    out = build.folder(faketree.checkout(tree), asked(), gcc)
    kconfig.configure(tree, out, asked(), gcc, QUIET)
    config = (out / ".config").read_text()
    name = option.partition("=")[0]
    rest = "".join(f"{line}\n" for line in config.splitlines() if f"CONFIG_{name}=" not in line)
    (out / ".config").write_text(f"{rest}CONFIG_{option}\n")
    assert not build.can_be_lean(out, gcc)


def test_modules_are_kept_with_their_kernel(tree: Path, gcc: Toolchain) -> None:
    assert whole(tree, gcc).modules is None
    faketree.commit(tree, "docs: a word", {"README": "changed\n"})
    kernel = whole(tree, gcc, kconfig.request([*NAMES, "modules"], [], []))
    assert kernel.modules == kernel.folder / "modules"
    installed = kernel.modules / kernel.release
    assert (installed / "modules.dep").is_file()
    assert (installed / "kernel/sample.ko").is_file()
    assert not (installed / "build").is_symlink(), "leads back to the build folder"


def test_only_what_changed_is_compiled(tree: Path, gcc: Toolchain) -> None:
    first = whole(tree, gcc)
    assert log(first).count("  CC  ") == 6
    shutil.rmtree(first.folder)
    assert log(whole(tree, gcc)).count("  CC  ") == 0
    text = (tree / "fs/configfs/dir.c").read_text().replace("count++", "count--")
    faketree.commit(tree, "configfs: count down", {"fs/configfs/dir.c": text})
    assert log(whole(tree, gcc)).count("  CC  ") == 1


def test_a_commit_alone_builds_nothing(tree: Path, gcc: Toolchain) -> None:
    first = whole(tree, gcc)
    faketree.commit(tree, "readme: say more", {"README": "More.\n"})
    second = whole(tree, gcc)
    assert "  CC  " not in log(second)
    assert second.key != first.key
    assert second.release == first.release


def test_the_same_sources_give_the_same_bytes_elsewhere(
    tree: Path, gcc: Toolchain, tmp_path: Path
) -> None:
    first = whole(tree, gcc).image.read_bytes()
    copy = tmp_path / "Kopie-äöü"
    shutil.copytree(tree, copy)
    shutil.rmtree(tmp_path / "cache/kernels")
    assert whole(copy, gcc).image.read_bytes() == first


def test_an_error_shows_the_compilers_own_lines(tree: Path, gcc: Toolchain) -> None:
    broken = "#include <linux/configfs.h>\nint configfs_register(void)\n{\n\treturn nothing;\n}\n"
    faketree.commit(tree, "configfs: break it", {"fs/configfs/dir.c": broken})
    with pytest.raises(NotBuilt) as caught:
        whole(tree, gcc)
    assert "fs/configfs/dir.c:2:5: error: conflicting types" in caught.value.what
    assert "^~~~" in caught.value.details
    assert str(tree) not in caught.value.details
    assert caught.value.hint.startswith("make --no-print-directory -C ")
    assert build.find(build.key(faketree.checkout(tree), asked(), gcc)) is None
    assert not list(paths.cache("kernels").iterdir())


def test_a_missing_header_and_a_missing_symbol_are_reported(tree: Path, gcc: Toolchain) -> None:
    text = (tree / "fs/configfs/dir.c").read_text()
    faketree.commit(tree, "x", {"fs/configfs/dir.c": "#include <linux/none.h>\n" + text})
    with pytest.raises(NotBuilt, match=r"fatal error: linux/none.h: No such file"):
        whole(tree, gcc)
    makefile = (tree / "Makefile").read_text().replace("fs/namespace.o", "fs/none.o")
    faketree.commit(tree, "y", {"fs/configfs/dir.c": text, "Makefile": makefile})
    with pytest.raises(NotBuilt, match="No rule to make target"):
        whole(tree, gcc)


def test_a_warning_names_its_patch(tree: Path, gcc: Toolchain) -> None:
    text = (tree / "fs/configfs/dir.c").read_text()
    bad = text.replace("\treturn 0;", "\tint unused;\n\treturn 0;")
    old = (tree / "fs/namespace.c").read_text().replace("\treturn 1;", "\tint old;\n\treturn 1;")
    faketree.commit(tree, "namespace: warn already", {"fs/namespace.c": old})
    faketree.git(tree, "tag", "base")
    faketree.commit(tree, "configfs: add a variable", {"fs/configfs/dir.c": bad})
    request, checkout = asked(), faketree.checkout(tree, "base")
    out = build.folder(checkout, request, gcc)
    kconfig.configure(tree, out, request, gcc, QUIET)
    kernel = build.build(checkout, out, build.key(checkout, request, gcc), gcc, QUIET)
    assert [(w.file, w.line, w.patch) for w in kernel.warnings] == [
        ("fs/configfs/dir.c", 7, "configfs: add a variable"),
        ("fs/namespace.c", 6, ""),
    ]
    assert "unused variable" in kernel.warnings[0].text


def test_an_incremental_build_still_knows_all_warnings(tree: Path, gcc: Toolchain) -> None:
    old = (tree / "fs/namespace.c").read_text().replace("\treturn 1;", "\tint old;\n\treturn 1;")
    faketree.commit(tree, "namespace: warn", {"fs/namespace.c": old})
    assert len(whole(tree, gcc).warnings) == 1
    text = (tree / "fs/configfs/dir.c").read_text().replace("count++", "count--")
    faketree.commit(tree, "configfs: count down", {"fs/configfs/dir.c": text})
    assert len(whole(tree, gcc).warnings) == 1


def test_a_missing_program_is_reported_before_the_build(
    tree: Path, gcc: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked()
    checkout = faketree.checkout(tree)
    out = build.folder(checkout, request, gcc)
    real = shutil.which
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: None if name == "flex" else real(name))
        with pytest.raises(HostFault, match="flex not installed"):
            kconfig.configure(tree, out, request, gcc, QUIET)
    kconfig.configure(tree, out, request, gcc, QUIET)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bison" else real(name))
    with pytest.raises(HostFault, match="bison not installed") as caught:
        build.build(checkout, out, build.key(checkout, request, gcc), gcc, QUIET)
    assert "bison" in caught.value.hint


def test_a_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostFault, match="gcc not installed"):
        build.toolchain()
    with pytest.raises(HostFault, match="clang not installed"):
        build.toolchain(llvm=True)


def test_a_cache_with_a_space_in_its_path_is_refused(
    tree: Path, gcc: Toolchain, tmp_path: Path
) -> None:
    with pytest.raises(HostFault, match="space or colon") as caught:
        kconfig.configure(tree, tmp_path / "with space", asked(), gcc, QUIET)
    assert "HARNESS_CACHE" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_reported(tree: Path, gcc: Toolchain) -> None:
    request, checkout = asked(), faketree.checkout(tree)
    out = build.folder(checkout, request, gcc)
    (out / ".config").mkdir()  # works for root too, who may write anywhere
    (out / ".config/in the way").touch()
    with pytest.raises(HostFault, match="cannot write to"):
        kconfig.configure(tree, out, request, gcc, QUIET)


def test_a_full_disk_during_the_build_is_the_hosts_fault(tree: Path, gcc: Toolchain) -> None:
    makefile = (tree / "Makefile").read_text()
    full = makefile.replace(
        "\t@$(LD) -r", "\t@echo 'ld: x: No space left on device'; false\n\t@$(LD) -r"
    )
    faketree.commit(tree, "x", {"Makefile": full})
    with pytest.raises(HostFault, match="no space left"):
        whole(tree, gcc)


def test_two_runs_that_build_the_same_kernel_at_once_share_it(
    tree: Path, gcc: Toolchain, tmp_path: Path
) -> None:
    faketree.make(tmp_path / "other")
    scripts = [
        SLOW.format(here=str(Path(__file__).parent), tree=str(t))
        for t in (tree, tmp_path / "other")
    ]
    running = [subprocess.Popen([sys.executable, "-c", script]) for script in scripts]
    assert [each.wait(PATIENCE) for each in running] == [0, 0]
    assert len(list(paths.cache("kernels").iterdir())) == 1
    assert build.find(build.key(faketree.checkout(tree), asked(), gcc)) is not None


def test_too_little_space_is_reported_before_the_build(
    tree: Path, gcc: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tree)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(HostFault, match="GB are free"):
        whole(tree, gcc)


SLOW = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import faketree
from harness import build, kconfig, process
from harness.progress import Progress
tree, gcc = Path({tree!r}), build.toolchain()
request, checkout = kconfig.request(["base", "nvmet"], [], []), faketree.checkout(tree)
out = build.folder(checkout, request, gcc)
kconfig.configure(tree, out, request, gcc, Progress(quiet=True))
build.build(checkout, out, build.key(checkout, request, gcc), gcc, Progress(quiet=True))
"""


@pytest.fixture
def slow(tree: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A build in a process of its own whose compiler writes half an object and then hangs."""
    makefile = (tree / "Makefile").read_text()
    compiles = "\t@$(compile) -MMD"
    waits = makefile.replace(compiles, f"\t@echo half > $@; sleep 1000\n{compiles}")
    (tree / "Makefile").write_text(waits)
    script = SLOW.format(here=str(Path(__file__).parent), tree=str(tree))
    running = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        # Any: as many are begun at once as there are processors, and none of them ends.
        wait_for(lambda: list((tmp_path / "cache/builds").rglob("*.o")))
        yield running
    finally:
        running.kill()
        running.wait()
        (tree / "Makefile").write_text(makefile)


def wait_for(condition: object) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def sleepers(tree: Path) -> list[int]:
    """Return the processes whose working folder is the tree: make and what it started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == tree:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_keeps_running_after_the_harness_is_stopped(
    tree: Path, slow: subprocess.Popen[bytes], number: signal.Signals, gcc: Toolchain
) -> None:
    assert sleepers(tree)
    slow.send_signal(number)
    slow.wait()
    wait_for(lambda: not sleepers(tree))
    faketree.git(tree, "checkout", "--", "Makefile")
    kernel = whole(tree, gcc)  # the half objects are not taken for whole ones
    assert log(kernel).count("  CC  ") == 6
