# SPDX-License-Identifier: GPL-2.0-only
"""The frequency that emulated guests are told."""

from __future__ import annotations

import mmap
import platform

import pytest

from harness.guest import qemu


@pytest.fixture(autouse=True)
def _measured_anew() -> None:
    qemu.tsc_khz.cache_clear()


def test_it_is_measured_as_it_was_before() -> None:
    if platform.machine() != "x86_64":
        pytest.skip("another architecture has another counter")
    first = qemu.tsc_khz()
    qemu.tsc_khz.cache_clear()
    assert first > 100_000
    assert qemu.tsc_khz() == pytest.approx(first, rel=0.001)


@pytest.mark.parametrize("machine", ["aarch64", "s390x"])
def test_elsewhere_guests_find_out_themselves(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert qemu.tsc_khz() == 0


def test_so_they_do_where_no_page_may_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert qemu.tsc_khz() == 0
