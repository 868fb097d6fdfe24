# SPDX-License-Identifier: GPL-2.0-only
"""The mail about a run: safe headers, and text within 72 columns."""

from __future__ import annotations

import dataclasses
import email
import email.policy
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import b4
import outputruns
import pytest

from harness.errors import UsageError
from harness.model import Outcome, Plan, Run, Test
from harness.publish import reply, reproduce
from harness.results import evidence

ME = reply.person("Jänë Doe <me@example.org>")


def nobody() -> tuple[reply.Lines, reply.Lines]:
    return (), ()


def cover(run: Run) -> Path:
    path = outputruns.series_of(run).cover
    assert path is not None
    return path


def composed(
    run: Run,
    tested_by: Address | None = None,
    maintainers: Callable[[], tuple[reply.Lines, reply.Lines]] = nobody,
) -> EmailMessage:
    raw = reply.compose(run, maintainers, tested_by)
    return email.message_from_bytes(raw, policy=email.policy.default)


def b4_trailers(said: str) -> list[str]:
    """Return the trailers that b4 would add to the patches."""
    found, _ = b4.LoreMessage.find_trailers(said, followup=True)
    return [one.as_string() for one in found]


def text(message: EmailMessage) -> str:
    content: str = message.get_content()
    return content


def test_the_mail_replies_to_the_cover_letter(tmp_path: Path) -> None:
    found = composed(outputruns.good(tmp_path))
    assert found["In-Reply-To"] == "<20260101.1-jane@example.org>"
    assert found["References"].split() == [
        "<20251201.0-jane@example.org>",
        "<20260101.1-jane@example.org>",
    ]
    assert found["Subject"] == "Re: [PATCH v2 0/2] configfs: make it better"
    assert found["To"] == "Jane Maker <jane@example.org>"
    names = [(one.display_name, one.addr_spec) for one in found["Cc"].addresses]
    assert names == [
        ("", "linux-fsdevel@example.org"),
        ("Doe, John", "john@example.org"),
        ('Jürgen "x"', "juergen@example.org"),
    ]
    assert found["From"] is None


def test_the_cover_letter_kept_with_the_run_is_enough(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    cover(run).rename(tmp_path / evidence.COVER)
    assert reply.thread_of(run).id == "<20260101.1-jane@example.org>"
    (tmp_path / evidence.COVER).unlink()
    assert reply.thread_of(run).id == "<20260101.1-jane@example.org>"  # the model's


def test_without_a_cover_letter_the_mail_replies_to_the_first_patch(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    run = outputruns.without_cover(run)
    assert composed(run)["In-Reply-To"] == "<20260101.1-1@example.org>"
    assert composed(run)["Subject"] == "Re: [PATCH v2 1/2] configfs: free it early"


def test_maintainers_are_asked_only_if_the_thread_names_nobody(tmp_path: Path) -> None:
    def never() -> tuple[reply.Lines, reply.Lines]:
        raise AssertionError("asked")

    composed(outputruns.good(tmp_path / "a"), maintainers=never)
    alone = outputruns.COVER.replace("To: ", "X-To: ").replace("Cc: ", "X-Cc: ")
    run = dataclasses.replace(outputruns.run(tmp_path / "b", cover=alone))
    someone = "Some One <some@example.org>", "Jane M <jane@example.org>"
    found = composed(run, maintainers=lambda: ((someone[0],), (someone[1], someone[0])))
    assert found["To"] == "Jane Maker <jane@example.org>"
    assert found["Cc"] == "Some One <some@example.org>"


def test_the_sender_gets_no_copy(tmp_path: Path) -> None:
    found = composed(outputruns.good(tmp_path), reply.person("John D <JOHN@example.org>"))
    assert "john" not in str(found["Cc"]).lower()


def test_tested_by_is_added_only_if_everything_passed(tmp_path: Path) -> None:
    good, bad = outputruns.good(tmp_path / "a"), outputruns.bad(tmp_path / "b")
    assert "\nTested-by: Jänë Doe <me@example.org>\n" in text(composed(good, ME))
    assert b4_trailers(text(composed(good, ME))) == ["Tested-by: Jänë Doe <me@example.org>"]
    assert b4_trailers(text(composed(good))) == b4_trailers(text(composed(bad))) == []
    assert "Tested-by" not in text(composed(bad, ME))
    assert reply.no_tested_by(bad) == "the verdict is bad"
    assert reply.no_tested_by(dataclasses.replace(good, interrupted=True))
    assert reply.no_tested_by(dataclasses.replace(good, series=None))
    flaky = Test("a", Outcome.FLAKY), Test("b", Outcome.PASS)
    lenient = dataclasses.replace(good.sides[1], tests=flaky, allow_flaky=True)
    assert reply.no_tested_by(dataclasses.replace(good, sides=(lenient,))) == "1 test is flaky"
    skipped = dataclasses.replace(good.sides[1], tests=(Test("a", Outcome.SKIP),))
    assert reply.no_tested_by(dataclasses.replace(good, sides=(skipped,))) == "no test passed"


def test_a_sender_needs_a_name_and_an_address() -> None:
    for words in ("", "Jane", "jane@example.org", "A <a@b.c>, B <b@b.c>", "J <j@>"):
        with pytest.raises(UsageError):
            reply.person(words)


def test_a_failure_is_reported_with_its_splat(tmp_path: Path) -> None:
    said = text(composed(outputruns.bad(tmp_path)))
    words = " ".join(said.split())
    assert "The series breaks 3 tests and adds 1 new splat." in words
    assert (
        "Of 9 tests, 2 are failing, with no result on the base; 1 is passing unexpectedly." in words
    )
    assert "1 of 9 tests was not run." in " ".join(said.split())
    broken = said.partition("Broken by the series (3):")[2]
    assert "pass -> error: KASAN: slab-use-after-free Read in configfs_lookup" in broken
    assert "\n     configfs_lookup+0x1/0x2\n" in broken
    assert "at fs/configfs/dir.c:451" in broken
    assert 'through code changed by "configfs: free it early"' in broken
    assert "RAX" not in said
    assert "old_frame" not in said
    assert "Failing, with no result on the base (2):" in said
    assert "also failing" not in said
    base = Test(f"{outputruns.FILE}::test_e", Outcome.FAIL)
    run = outputruns.run(tmp_path / "old", base)
    assert "Also failing without the series (1):" in text(composed(run))


def test_the_text_has_72_columns_and_no_local_paths(tmp_path: Path) -> None:
    for name in ("good", "bad", "hostile"):
        said = text(composed(getattr(outputruns, name)(tmp_path / name), ME))
        own = said.partition("To reproduce:")
        lines = [line for line in (own[0] + own[2]).splitlines() if len(line) > reply.WIDTH]
        # A word of a command cannot be folded without changing what it means.
        assert all(len(line.split()) <= 2 or line.count("'") for line in lines), lines
        assert not [line for line in own[0].splitlines() if len(line) > reply.WIDTH]
        assert "/secret" not in said


def test_many_tests_are_counted_by_file(tmp_path: Path) -> None:
    many = tuple(Test(f"a/test_{n % 2}.py::t[{n}]", Outcome.PASS) for n in range(200))
    before = tuple(dataclasses.replace(one, outcome=Outcome.FAIL) for one in many)
    said = text(composed(outputruns.run(tmp_path, *many, base=before)))
    assert "Fixed by the series (200):\n   100 in a/test_0.py\n   100 in a/test_1.py\n" in said


def test_hostile_text_makes_no_header_and_no_trailer(tmp_path: Path) -> None:
    headers = (
        "From: =?utf-8?q?a=0ABcc=3A_spy=40example=2Eorg?= <jane@example.org>\n"
        'To: "x\\r\\nBcc: spy" <a@example.org>, b@@c, <d@e\x00f>, \udcff <ok@example.org>\n'
        "Subject: =?utf-8?q?x=0D=0ABcc=3A_spy=40example=2Eorg?= \udcfc =?bad?x?y?=\n"
        "Message-ID: <a b@c>\nReferences: <x@y> junk <\x01@z>\n\nbody\n"
    )
    run = outputruns.hostile(tmp_path)
    cover(run).write_bytes(headers.encode("utf-8", "surrogateescape"))
    raw = reply.compose(run, lambda: ((), ()), ME)
    head, _, body = raw.partition(b"\n\n")
    names = [line.split(b":")[0] for line in head.split(b"\n") if line[:1] not in b" \t"]
    assert set(names) == {
        *(b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"MIME-Version"),
        *(b"Content-Type", b"Content-Transfer-Encoding"),
    }
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert [one.addr_spec for one in found["To"].addresses] == ["jane@example.org"]
    assert "ok@example.org" in str(found["Cc"])
    assert "spy@example.org" not in [one.addr_spec for one in found["Cc"].addresses]
    said = body.decode()
    assert "\x1b" not in said
    assert "\x00" not in said
    assert b4_trailers(said) == []
    assert len(raw) < 64 * 1024


def test_a_trailer_across_lines_is_disarmed(tmp_path: Path) -> None:
    name = "x" * 46 + " Tested-by: " + "Evil " * 11 + "<evil@example.org>"
    run = outputruns.good(tmp_path)
    run = dataclasses.replace(
        run, series=dataclasses.replace(outputruns.series_of(run), title=name)
    )
    failing = Test(f"{'a' * 100}\nTested-by: Evil\n<evil@example.org>", Outcome.FAIL, message=name)
    run = dataclasses.replace(run, sides=(dataclasses.replace(run.sides[1], tests=(failing,)),))
    assert b4_trailers(text(composed(run))) == []


def test_the_command_names_the_series_for_everybody(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    words = reproduce.argv(run)
    assert words == [
        *("harness", "run", "20260101.1-jane@example.org"),
        *("--suite", "test_a.py", "--kernel", "7.2.13"),
    ]
    one = reproduce.argv(run, "a.py::b[c d]")
    assert one[-2:] == ["--suite", "a.py::b[c d]"]
    assert one.count("--suite") == 1
    typed = Plan(tree=Path("/x"), assignments=("CONFIG_A=y",), llvm=True, pytest_args=("-x",))
    tree = dataclasses.replace(run, plan=typed)
    assert reproduce.argv(tree)[3:] == [
        *("CONFIG_A=y", "--llvm", "--tree", "linux", "--base", outputruns.COMMIT[:16], "--", "-x")
    ]
    strict = dataclasses.replace(run, plan=Plan(series_words=("x",), strict=True, reruns=3))
    assert reproduce.argv(strict)[3:6] == ["--rerun", "3", "--strict"]
    bare = dataclasses.replace(run, series=None, plan=Plan())
    assert reproduce.argv(bare) == ["harness", "run", "--no-series", "--kernel", "7.2.13"]
    folded = reproduce.shell(run, "a.py::b[c d]", 40)
    assert folded.splitlines()[-1] == "    --suite 'a.py::b[c d]'"
