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


def test_two_measurements_agree() -> None:
    if platform.machine() != "x86_64":
        pytest.skip("another architecture has another counter")
    first = qemu.tsc_khz()
    qemu.tsc_khz.cache_clear()
    assert first > 100_000
    assert qemu.tsc_khz() == pytest.approx(first, rel=0.001)


@pytest.mark.parametrize("machine", ["aarch64", "s390x"])
def test_guests_of_other_architectures_measure_it_themselves(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert qemu.tsc_khz() == 0


def test_guests_measure_it_themselves_if_the_host_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert qemu.tsc_khz() == 0
