# SPDX-License-Identifier: GPL-2.0-only
"""Splats in logs as people paste them: any prefix, decoded, wrapped, escaped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.splat import find

PASTED = Path(__file__).parents[1] / "data" / "pasted"
EXPECTED = json.loads((PASTED / "expected.json").read_text())


def identities(text: str) -> list[list[str]]:
    return [[splat.kind, splat.title, splat.task] for splat in find(text.split("\n"))]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_pasted_log(name: str) -> None:
    assert identities((PASTED / name).read_text()) == EXPECTED[name]


def test_inlined_functions_are_frames() -> None:
    (splat,) = find((PASTED / "inlined-run.log").read_text().split("\n"))
    assert len(splat.frames) == 11
    assert splat.frames[4] == "do_wait_for_common kernel/sched/completion.c:85"


def test_a_preemptible_section_is_named_by_the_function_with_the_offset() -> None:
    trace = (
        "Call Trace:\n dump_stack_lvl+0x241/0x360\n check_preemption_disabled+0x10e/0x120\n"
        " gadget_get_buf+0x2c/0xd0\n gadget_decompress+0xe42/0x17b0\n"
    )
    head = "BUG: using smp_processor_id() in preemptible [00000000] code: kworker/u9:1/4483\n"
    raw = f"{head}caller is gadget_get_buf+0x2c/0xd0\n{trace}"
    inlined = "gadget_buf_id fs/gadget/util.c:31 [inline]\n"
    decoded = raw.replace(" gadget_get", f" {inlined} gadget_get").replace(
        f"caller is {inlined} ", f"caller is {inlined}caller is "
    )
    found = [find(text.split("\n"))[0] for text in (raw, decoded)]
    assert found[0].title.endswith("preemptible code in gadget_get_buf")
    assert found[0].title == found[1].title
    assert found[0].fingerprint == found[1].fingerprint
