# SPDX-License-Identifier: GPL-2.0-only
"""What travels between machines arrives as it left, or is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import tarfile
import threading
from pathlib import Path

import pytest

from harness import errors, serial
from harness.cluster import connect, parcels, request
from harness.cluster.request import Fault, RefusedReply, TrialReply
from harness.errors import UsageError
from harness.model import Plan
from harness.progress import Progress

KEY = "trial-0123"


def sent(archive: bytes, key: str = KEY) -> str:
    reply = TrialReply(key, "w0", checksum=request.digest_of(archive))
    return json.dumps(serial.to_json(reply))


def evidence(folder: Path) -> bytes:
    (folder / "guests" / "0").mkdir(parents=True)
    (folder / "tests.jsonl").write_text('{"a": 1}\n')
    (folder / "guests" / "0" / "console.log").write_bytes(bytes(range(256)))
    (folder / "link").symlink_to("guests/0/console.log")
    (folder / "outside").symlink_to("/etc/passwd")
    return request.archive_folder(folder)


def test_the_file_of_a_killed_driver_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    killed, living, own = (parcels.new_token() for _ in range(3))
    (tmp_path / killed).touch()
    with parcels.token_file(living):
        assert not parcels.shares_cache(killed)
        with parcels.token_file(own):
            assert parcels.shares_cache(living)
            assert parcels.shares_cache(own)
    assert not list(tmp_path.iterdir())


def test_a_folder_arrives_as_it_left(tmp_path: Path) -> None:
    archive = evidence(tmp_path / "one")
    assert request.opened(KEY, sent(archive), archive).worker == "w0"
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "old").touch()
    request.unpack(archive, tmp_path / "two")
    names = {
        path.relative_to(tmp_path / "two").as_posix() for path in (tmp_path / "two").rglob("*")
    }
    assert names == {"tests.jsonl", "guests", "guests/0", "guests/0/console.log", "link"}
    assert (tmp_path / "two" / "link").read_bytes() == bytes(range(256))


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    assert evidence(tmp_path / "one") == evidence(tmp_path / "two")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = evidence(tmp_path / "one")
    with pytest.raises(RefusedReply, match="checksum is wrong"):
        request.opened(KEY, sent(archive), archive[:-20])
    with pytest.raises(RefusedReply, match="cannot be unpacked"):
        request.unpack(archive[: len(archive) // 2], tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_the_result_of_another_trial_is_refused(tmp_path: Path) -> None:
    archive = evidence(tmp_path / "one")
    with pytest.raises(RefusedReply, match="another trial"):
        request.opened(KEY, sent(archive, "trial-4567"), archive)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_reply_is_refused(text: str) -> None:
    with pytest.raises(RefusedReply, match="damaged"):
        request.opened(KEY, text, b"")


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_an_archive_cannot_write_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    with pytest.raises(RefusedReply, match="outside"):
        request.unpack(data.getvalue(), tmp_path / "into")
    assert not (tmp_path / "out").exists()


def test_an_archive_cannot_link_outside_of_its_folder(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../out"
        tar.addfile(link)
    with pytest.raises(RefusedReply, match="outside"):
        request.unpack(data.getvalue(), tmp_path / "into")


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type)],
    ids=lambda kind: kind.__name__,
)
def test_an_error_is_the_same_on_both_sides(kind: type[errors.HarnessError]) -> None:
    error = Fault.of(kind("what", hint="hint", details="details")).error
    assert type(error) is kind
    assert (error.what, error.hint, error.details) == ("what", "hint", "details")


def test_the_paths_of_the_worker_become_ours(tmp_path: Path) -> None:
    journal = tmp_path / "tests.jsonl"
    journal.write_text(json.dumps({"folder": "/wörker/trials/x/retries/0"}) + "\n")
    request.move_paths(tmp_path, "/wörker/trials/x")
    assert json.loads(journal.read_text()) == {"folder": f"{tmp_path}/retries/0"}


@pytest.mark.parametrize(
    ("on", "tls", "insecure", "found"),
    [
        ("localhost", False, False, "tcp://localhost:8786"),
        ("127.0.0.1:1234", False, False, "tcp://127.0.0.1:1234"),
        ("tcp://[::1]:1", False, False, "tcp://[::1]:1"),
        ("tls://build.example.org:8786", False, False, "tls://build.example.org:8786"),
        ("build.example.org", True, False, "tls://build.example.org:8786"),
        ("192.0.2.1:8786", False, True, "tcp://192.0.2.1:8786"),
    ],
)
def test_a_safe_address_is_used(on: str, tls: bool, insecure: bool, found: str) -> None:
    assert connect.address(on, tls=tls, insecure=insecure) == found


@pytest.mark.parametrize(
    ("on", "tls", "why"),
    [
        ("192.0.2.1", False, "can run code"),
        ("tcp://build.example.org:8786", False, "can run code"),
        ("127.0.0.1.example.org", False, "can run code"),
        ("tcp://localhost", True, "not encrypted"),
        ("local:x y", False, "not an address"),
    ],
)
def test_an_unsafe_address_is_refused(on: str, tls: bool, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        connect.address(on, tls=tls, insecure=False)


def test_local_workers_are_counted() -> None:
    assert [connect.local_count(on) for on in ("local:3", "localhost:3", "local:")] == [3, 0, 0]
    with pytest.raises(UsageError, match="no workers"):
        connect.local_count("local:0")


def test_workers_of_another_version_are_refused() -> None:
    from harness.cluster.worker import versions

    ours = versions("driver")
    assert versions("w0").refusal(ours) == ""
    own = versions("w0")
    assert "Python 3.99" in dataclasses.replace(own, python="3.99").refusal(ours)
    assert "harness 0.0" in dataclasses.replace(own, harness="0.0").refusal(ours)
    assert "source text" in dataclasses.replace(own, code="other").refusal(ours)


def test_suites_are_not_replaced_where_another_worker_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of one machine share a cache, and their first trials begin in the same moment."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project/test_it.py").write_text("def test_it(): pass\n")
    plan = Plan(tmp_path / "project", suites=("test_it.py",))
    packed = parcels.pack_suites(plan)
    arrived = threading.Barrier(2)

    def unpack(data: bytes, folder: Path) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            arrived.wait(0.5)  # with a lock, nobody else comes
        request.unpack(data, folder)

    monkeypatch.setattr(parcels, "unpack", unpack)
    inodes = []

    def unpacked() -> None:
        own = parcels.with_suites(plan, packed, Progress(quiet=True))
        inodes.append((own.folder / "test_it.py").stat().st_ino)

    threads = [threading.Thread(target=unpacked) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inodes) == 2
    assert len(set(inodes)) == 1
