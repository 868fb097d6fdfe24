# SPDX-License-Identifier: GPL-2.0-only
"""The configuration follows the series, and a run says which of its lines were compiled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import faketree
import pytest
import warm
from fakeproject import Project

from harness.serial import load

DRIVER = "drivers/fake/driver.c"
SUITE = """
import os, pathlib

def test_it():
    assert pathlib.Path(os.environ["FAKE_IMAGE"]).stat().st_size
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (project.path / "suite" / "test_it.py").write_text(SUITE)
    return project


def states(run: dict[str, Any], file: str) -> dict[int, tuple[str, str]]:
    """Return state and reason of each line that the series adds to a file."""
    lines = next(entry["lines"] for entry in run["lines"]["files"] if entry["path"] == file)
    return {line["number"]: (line["state"], line["why"]) for line in lines}


def last_commit_as_series(project: Project) -> None:
    """Make the series the last commit of the tree, and take it away there."""
    words = ("format-patch", "--quiet", "-1", "--output-directory", str(project.series))
    faketree.git(project.tree, *words)
    faketree.git(project.tree, "reset", "--quiet", "--hard", faketree.TAG)


def test_a_driver_that_no_fragment_asks_for_is_built_with_what_it_depends_on(
    project: Project,
) -> None:
    project.patch(DRIVER, "\nint fake_more(void);\n\nint fake_more(void)\n{\n\treturn 3;\n}\n")
    code, run, err = project.run()
    assert code == 0, err
    reason = f"is added: it builds {DRIVER}"
    assert err.count(f"CONFIG_FAKE_FEATURE=y {reason}") == 1
    assert f"CONFIG_FAKE_DRIVER=y {reason}" in err
    assert [option["name"] for option in run["followed"]] == ["FAKE_FEATURE", "FAKE_DRIVER"]
    assert states(run, DRIVER) == {
        8: ("nothing to compile", "blank"),
        9: ("nothing to compile", "a declaration"),
        10: ("nothing to compile", "blank"),
        11: ("compiled", ""),
        12: ("nothing to compile", "only braces"),
        13: ("compiled", ""),
        14: ("nothing to compile", "only braces"),
    }
    for side in ("base", "patched"):
        options = json.loads((project.out / side / "options.json").read_text())
        assert options["CONFIG_FAKE_DRIVER"] == "y", side
        assert "CONFIG_FAKE_DRIVER=y" in (project.out / side / "config").read_text()


def test_options_of_most_objects_get_a_build_folder_of_their_own(project: Project) -> None:
    names = ("init/main.c", "fs/namespace.c", "fs/configfs/dir.c")
    text = "\n#ifdef CONFIG_FAKE_FEATURE\nint {}_more;\n#endif\n"
    files = {n: (project.tree / n).read_text() + text.format(Path(n).stem) for n in names}
    faketree.commit(project.tree, "fake: a feature that is everywhere", files)
    faketree.git(project.tree, "tag", "--force", faketree.TAG)
    for driver in (False, True):
        project.out = project.path / f"out-{driver}"
        for patch in project.series.glob("*.patch"):
            patch.unlink()
        project.patch(DRIVER if driver else "fs/configfs/mount.c", f"\nint fake_{driver};\n")
        code, run, err = project.run()
        assert code == 0, err
        assert bool(run["followed"]) is driver
    folders = [file.parent for file in project.cache.glob("builds/*/.config")]
    driven = ["FAKE_DRIVER=y" in (folder / ".config").read_text() for folder in folders]
    assert sorted(driven) == [False, True]


def test_what_is_compiled_anyway_keeps_its_kernels(project: Project) -> None:
    project.patch("fs/configfs/dir.c", "\nint configfs_more;\n")
    code, first, err = project.run("--no-follow")
    assert code == 0, err
    project.out = project.path / "again"
    code, again, err = project.run()
    assert code == 0, err
    assert again["followed"] == []
    keys = [[side["kernel"]["key"] for side in run["sides"]] for run in (first, again)]
    assert keys[0] == keys[1]
    assert all(side["kernel"]["reused"] for side in again["sides"])


def test_a_kept_kernel_whose_lines_nobody_knows_is_built_again(project: Project) -> None:
    project.patch(DRIVER, "\nint fake_more = 3;\n")
    code, first, err = project.run()
    assert code == 0, err
    (record,) = project.cache.glob("kernels/*/lines-*.json")
    record.unlink()
    project.out = project.path / "again"
    code, again, err = project.run()
    assert code == 0, err
    assert (
        states(again, DRIVER)
        == states(first, DRIVER)
        == {8: ("nothing to compile", "blank"), 9: ("compiled", "")}
    )
    assert [side["kernel"]["reused"] for side in again["sides"]] == [True, False]


def test_without_following_nothing_is_compiled_and_the_series_is_untestable(
    project: Project,
) -> None:
    project.patch(DRIVER, "\nint fake_more = 3;\n")
    code, _, err = project.run("--no-follow")
    assert code == 125
    assert "nothing of the series is compiled into this kernel" in err
    assert f"{DRIVER}:9: not built" in err
    assert not project.out.exists() or not list(project.out.glob("*/tests.jsonl"))


def test_what_is_left_out_is_named_and_limits_the_verdict(project: Project) -> None:
    text = "\n#ifdef CONFIG_FAKE_DRIVER\nint fake_on = 1;\n#else\nint fake_off = 1;\n#endif\n"
    project.patch("fs/configfs/dir.c", text)
    code, run, err = project.run()
    assert code == 0, err
    found = states(run, "fs/configfs/dir.c")
    assert found[11][0] == "compiled"
    assert found[13] == ("not compiled", "in the #else of #ifdef CONFIG_FAKE_DRIVER")
    assert [option["name"] for option in run["followed"]] == ["FAKE_FEATURE", "FAKE_DRIVER"]
    assert "fs/configfs/dir.c:13: it needs FAKE_DRIVER to be off, and other lines need it on" in err


def test_a_driver_with_which_the_base_does_not_build_is_left_out(project: Project) -> None:
    other = "fs/configfs/dir.c"
    broken = (project.tree / DRIVER).read_text() + "\nint fake_broken = fake_unknown;\n"
    faketree.commit(project.tree, "fake: a driver that cannot be compiled", {DRIVER: broken})
    faketree.git(project.tree, "tag", "--force", faketree.TAG)
    faketree.commit(
        project.tree,
        "fake: two files",
        {
            DRIVER: broken + "\nint fake_more = 3;\n",
            other: (project.tree / other).read_text() + "int more = 1;\n",
        },
    )
    last_commit_as_series(project)
    for name in ("first", "second", "revised"):
        project.out = project.path / name
        if name == "revised":
            (patch,) = project.series.glob("*.patch")
            patch.write_text(patch.read_text().replace("int more = 1;", "int more = 2;"))
        code, run, err = project.run()
        assert code == 0, err
        assert run["followed"] == []
        assert "the base does not build with its options" in err
        assert "fake_unknown" in err
        assert states(run, DRIVER)[11] == ("not compiled", "not built")
        assert [line[0] for line in states(run, other).values()] == ["compiled"]
        # The later ones know it, and try no build.
        assert ("is left out: the base" in err) is (name == "first")
    project.out = project.path / "third"
    code, _, err = project.run("CONFIG_FAKE_FEATURE=y", "CONFIG_FAKE_DRIVER=y")
    assert code == 125, err  # what was asked for is not left out
    assert "fake_unknown" in err


def test_a_base_that_does_not_build_by_itself_costs_no_options(project: Project) -> None:
    text = (project.tree / "init/main.c").read_text() + "\nint fake_broken = fake_unknown;\n"
    faketree.commit(project.tree, "fake: a kernel that cannot be compiled", {"init/main.c": text})
    faketree.git(project.tree, "tag", "--force", faketree.TAG)
    project.patch(DRIVER, "\nint fake_more = 3;\n")
    words = ("--tree", project.tree, "--base", faketree.TAG, "--accel", "tcg", "--only", "build")
    done = project.harness("check", *words, "--out", project.path / "checked")
    assert "Traceback" not in done.stderr, done.stderr
    assert "is left out" not in done.stderr  # it is not the driver's options
    assert "build" in done.stdout  # the table of the check
    code, _, err = project.run()
    assert code == 125, err
    assert "fake_unknown" in err


def test_a_request_that_needs_what_the_series_needs_is_no_mistake(project: Project) -> None:
    project.patch("fs/configfs/dir.c", "\n#ifdef CONFIG_FAKE_FEATURE\nint fake_on = 1;\n#endif\n")
    code, run, err = project.run("CONFIG_FAKE_DRIVER=y")
    assert code == 0, err
    assert "✗" not in err
    assert [option["name"] for option in run["followed"]] == ["FAKE_FEATURE"]
    assert "CONFIG_FAKE_DRIVER=y" in (project.out / "base" / "config").read_text()


def test_a_request_that_nothing_can_meet_is_refused_once_with_its_reason(project: Project) -> None:
    project.patch("fs/configfs/dir.c", "\nint configfs_more;\n")
    code, _, err = project.run("CONFIG_FAKE_DRIVER=y")
    assert code == 125, err
    assert err.count("✗") == 1
    assert err.count("but is not set: depends on FAKE_FEATURE, which is n") == 1


def test_an_option_that_the_series_adds_is_left_out_of_the_base(project: Project) -> None:
    kconfig = (project.tree / "Kconfig").read_text()
    makefile = (project.tree / "Makefile").read_text()
    rule = "obj-$(CONFIG_FAKE_DRIVER) += drivers/fake/driver.o\n"
    faketree.commit(
        project.tree,
        "fake: a new driver",
        {
            "Kconfig": kconfig + '\nconfig FAKE_NEW\n    bool "New"\n',
            "Makefile": makefile.replace(
                rule, f"{rule}obj-$(CONFIG_FAKE_NEW) += drivers/fake/new.o\n"
            ),
            "drivers/fake/new.c": "// SPDX-License-Identifier: GPL-2.0\nint fake_new = 1;\n",
        },
    )
    last_commit_as_series(project)
    code, run, err = project.run("--trust")
    assert code == 0, err
    base, patched = ((project.out / side / "config").read_text() for side in ("base", "patched"))
    assert "FAKE_NEW" not in base
    assert "CONFIG_FAKE_NEW=y" in patched
    options = json.loads((project.out / "base" / "options.json").read_text())
    assert "CONFIG_FAKE_NEW" not in options
    assert states(run, "drivers/fake/new.c")[2] == ("compiled", "")
    assert states(run, "Kconfig")[max(states(run, "Kconfig"))][0] == "nothing to compile"


def test_a_header_is_compiled_where_it_is_included(project: Project) -> None:
    text = (
        "\n#define CONFIGFS_TWO 2\n#ifdef CONFIG_FAKE_NUMBER_IS\nstatic int never;\n#endif\n"
        "static inline int configfs_two(void)\n{\n\treturn CONFIGFS_TWO;\n}\n"
    )
    project.patch("include/linux/configfs.h", text)
    code, run, err = project.run()
    assert code == 0, err
    kinds = Counter(state for state, _ in states(run, "include/linux/configfs.h").values())
    assert kinds["compiled"] == 2
    assert any(
        why == "a macro, compiled where it is used"
        for _, why in states(run, "include/linux/configfs.h").values()
    )


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("README", "More.\n", "README is not part of the kernel image"),
        ("arch/arm64/Kconfig", "# More.\n", "for another architecture (arm64)"),
    ],
)
def test_what_no_kernel_contains_is_untestable(
    project: Project, file: str, text: str, why: str
) -> None:
    project.patch(file, text)
    code, _, err = project.run("--trust")
    assert code == 125
    assert why in err
    assert "Traceback" not in err


def test_series_toml_names_more(project: Project) -> None:
    project.patch("fs/configfs/dir.c", "\nint configfs_more;\n")
    toml = project.series / "series.toml"
    toml.write_text(f'{toml.read_text()}follow = ["FAKE_DRIVER"]\n')
    code, run, err = project.run()
    assert code == 0, err
    assert "CONFIG_FAKE_DRIVER=y is added: it is named in series.toml" in err
    assert [option["name"] for option in run["followed"]] == ["FAKE_FEATURE", "FAKE_DRIVER"]


def test_a_check_says_which_lines_are_compiled(project: Project) -> None:
    text = (
        "\nint fake_more(void);\n#ifdef FAKE_NEVER\nint never = 1;\n#endif\nint fake_always = 1;\n"
    )
    project.patch(DRIVER, text)
    words = [word for word in project.argv if word not in ("run", "--json")]
    argv = [*words[:3], "check", *words[3:], "--only", "build"]
    done = warm.run(
        argv,
        cwd=project.path,
        env=project.environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "GOOD as far as tested: 1 of 2 lines compiled, A demo" in done.stdout
    assert f"not compiled: {DRIVER}:11: inside #ifdef FAKE_NEVER" in done.stdout
    table = load(project.out / "check.json")
    assert states(table, DRIVER)[13] == ("compiled", "")
    assert [option["name"] for option in table["followed"]] == ["FAKE_FEATURE", "FAKE_DRIVER"]


def test_renamed_and_removed_files(project: Project) -> None:
    faketree.git(project.tree, "mv", "fs/configfs/mount.c", "fs/configfs/super.c")
    faketree.git(project.tree, "rm", "--quiet", DRIVER)
    makefile = (
        (project.tree / "Makefile").read_text().replace("configfs/mount.o", "configfs/super.o")
    )
    rule = "obj-$(CONFIG_FAKE_DRIVER) += drivers/fake/driver.o\n"
    text = (project.tree / "fs/configfs/super.c").read_text() + "int configfs_supers = 1;\n"
    files = {"Makefile": makefile.replace(rule, ""), "fs/configfs/super.c": text}
    faketree.commit(project.tree, "configfs: rename", files)
    last_commit_as_series(project)
    code, run, err = project.run("--trust")
    assert code == 0, err
    assert list(states(run, "fs/configfs/super.c").values()) == [("compiled", "")]
    assert states(run, DRIVER) == {}


def test_a_check_of_a_series_without_code_is_untestable(project: Project) -> None:
    project.patch("README", "More.\n")
    words = [word for word in project.argv if word not in ("run", "--json")]
    argv = [*words[:3], "check", *words[3:], "--only", "build"]
    env = project.environment()
    done = warm.run(argv, cwd=project.path, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 125, done.stderr
    assert "UNTESTABLE" in done.stdout
    assert "nothing of the series is compiled into its kernels" in done.stdout
