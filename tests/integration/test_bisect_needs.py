# SPDX-License-Identifier: GPL-2.0-only
"""`harness bisect --interaction`: a patch that conflicts without another one needs it."""

from __future__ import annotations

from pathlib import Path

import faketree
from test_bisect_verb import LOOK, Bisect


def test_patches_that_need_each_other(tmp_path: Path) -> None:
    project = Bisect(tmp_path, [])
    main, names = "init/main.c", ("fs/namespace.c", "fs/configfs/dir.c")
    texts = {name: (project.tree / name).read_text() for name in (main, *names)}
    steps = [
        {names[0]: f"{texts[names[0]]}\nint unrelated;\n"},
        {main: f"{texts[main]}\nint limit = 1;\n"},
        {main: f"{texts[main]}\nint limit = 2;\n"},  # changes what the second one added
        {names[1]: f"{texts[names[1]]}\nint uses_limit;\n"},
    ]
    for number, changes in enumerate(steps, 1):
        faketree.commit(project.tree, f"patch {number}", changes)
    words = ("format-patch", "--quiet", "-4", "--output-directory", str(project.series))
    faketree.git(project.tree, *words)
    faketree.git(project.tree, "reset", "--quiet", "--hard", faketree.TAG)
    series = ("--series", "patches/demo", "--tree", str(project.tree), "--base", faketree.TAG)
    bad = "! { grep -q 'limit = 2' init/main.c && grep -q uses_limit fs/configfs/dir.c; }"
    code, found, err = project.run(*series, "--interaction", *LOOK, bad)
    assert code == 0, err
    together = found["together"]
    assert together["needs"] == [[3, [2]]]
    assert set(together["decisive"]) == {2, 3, 4}
    assert together["together"] == [2, 3, 4]
    assert together["unsure"] == [2]
    calls = {step["name"]: step["call"] for step in found["steps"]}
    assert calls["without 2"] == "skip"
    assert calls["without 2, 3"] == "good"
