# SPDX-License-Identifier: GPL-2.0-only
"""Fragments and assignments become one Request without contradictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import kconfig
from harness.errors import UsageError
from harness.kconfig.fragment import parse
from harness.model import Request


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder without fragments, so that ./kconfigs does not matter."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def pairs(request: Request) -> dict[str, str]:
    return {option.name: option.value for option in request.options}


def test_options_keep_value_place_and_reason() -> None:
    text = (
        "# a title\n\n# why: the guest reads\n# its configuration\nCONFIG_A=y\n"
        '# CONFIG_B is not set\n\nCONFIG_C="x y"\nCONFIG_D=-12\nCONFIG_E=0x1F\n'
    )
    options = parse(text, "f.config")
    assert [(o.name, o.value) for o in options] == [
        ("A", "y"),
        ("B", "n"),
        ("C", '"x y"'),
        ("D", "-12"),
        ("E", "0x1F"),
    ]
    assert options[0].origin == "f.config:5"
    assert options[0].reason == options[1].reason == "the guest reads its configuration"
    assert options[2].reason == ""


def test_every_option_of_our_own_fragments_has_a_reason() -> None:
    folder = Path(__file__).parents[2] / "kconfigs"
    options = [o for f in sorted(folder.glob("*.config")) for o in parse(f.read_text(), f.name)]
    assert len(options) > 100
    assert [f"{o.origin} {o.name}" for o in options if not o.reason] == []


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_our_own_fragments_agree(arch: str) -> None:
    request = kconfig.request(["base", "nvmet", "debug"], [], [], arch)
    names = [option.name for option in request.options]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "line",
    ["CONFIG_A", "A=y", "CONFIG_A = y", "CONFIG_A=", "CONFIG_A=yes", "nonsense", "CONFIG_A-B=y"],
)
def test_a_malformed_line_is_named(elsewhere: Path, line: str) -> None:
    file = write(elsewhere, "bad.config", f"CONFIG_OK=y\n{line}\n")
    with pytest.raises(UsageError) as caught:
        kconfig.request([file], [], [])
    assert f"{file}:2" in caught.value.what
    assert caught.value.hint


def test_two_fragments_that_disagree_are_both_named(elsewhere: Path) -> None:
    one = write(elsewhere, "one.config", "CONFIG_A=y\n")
    two = write(elsewhere, "two.config", "\n# CONFIG_A is not set\n")
    with pytest.raises(UsageError) as caught:
        kconfig.request([one, two], [], [])
    assert f"{one}:1" in caught.value.what
    assert f"{two}:2" in caught.value.what
    assert "CONFIG_A" in caught.value.hint


def test_the_last_line_of_a_file_wins(elsewhere: Path) -> None:
    """As in Kconfig, in merge_config.sh, and in the kernel's own defconfigs."""
    file = write(elsewhere, "in.config", "# CONFIG_A is not set\nCONFIG_A=y\nCONFIG_B=y\n")
    assert pairs(kconfig.request([file], [], [])) == {"A": "y", "B": "y"}
    (note,) = kconfig.overridden([file], [])
    assert note.startswith(f"CONFIG_A is n in {file}:1 and y in {file}:2")
    other = write(elsewhere, "other.config", "# CONFIG_A is not set\n")
    with pytest.raises(UsageError, match="CONFIG_A is y in"):
        kconfig.request([file, other], [], [])
    assert kconfig.overridden([other], []) == []


def test_the_same_value_twice_is_fine(elsewhere: Path) -> None:
    one = write(elsewhere, "one.config", "CONFIG_A=y\nCONFIG_N=16\n")
    two = write(elsewhere, "two.config", "CONFIG_A=y\nCONFIG_N=0x10\n")
    assert pairs(kconfig.request([one, two], [], [])) == {"A": "y", "N": "16"}


@pytest.mark.parametrize("argument", ["CONFIG_A=n", "A=n"])
def test_the_command_line_wins(elsewhere: Path, argument: str) -> None:
    one = write(elsewhere, "one.config", "CONFIG_A=y\n")
    two = write(elsewhere, "two.config", "CONFIG_A=m\n")
    request = kconfig.request([one, two], [argument], [])
    assert pairs(request) == {"A": "n"}
    assert request.options[0].origin == "command line"


def test_the_command_line_must_not_disagree_with_itself() -> None:
    with pytest.raises(UsageError):
        kconfig.request([], ["A=y", "CONFIG_A=n"], [])


@pytest.mark.parametrize("argument", ["", "A", "=y", "A B=y"])
def test_a_malformed_assignment_is_refused(argument: str) -> None:
    with pytest.raises(UsageError):
        kconfig.request([], [argument], [])


def test_a_string_without_quotes_gets_them_on_the_command_line() -> None:
    assert pairs(kconfig.request([], ["LOCALVERSION=-mine"], [])) == {"LOCALVERSION": '"-mine"'}


def test_names_are_looked_up_in_the_series_then_the_project_then_ours(elsewhere: Path) -> None:
    series = elsewhere / "series"
    assert len(kconfig.request(["nvmet"], [], []).options) > 5
    write(elsewhere / "kconfigs", "nvmet.config", "CONFIG_PROJECT=y\n")
    assert pairs(kconfig.request(["nvmet"], [], [series])) == {"PROJECT": "y"}
    write(series, "nvmet.config", "CONFIG_SERIES=y\n")
    assert pairs(kconfig.request(["nvmet"], [], [series])) == {"SERIES": "y"}


def test_an_architecture_adds_its_own_file(elsewhere: Path) -> None:
    write(elsewhere / "kconfigs", "mine.config", "CONFIG_A=y\n")
    write(elsewhere / "kconfigs", "mine.arm64.config", "CONFIG_B=y\n")
    assert pairs(kconfig.request(["mine"], [], [], "arm64")) == {"A": "y", "B": "y"}
    assert pairs(kconfig.request(["mine"], [], [], "x86_64")) == {"A": "y"}


def test_an_unknown_name_lists_the_known_ones(elsewhere: Path) -> None:
    write(elsewhere / "kconfigs", "mine.config", "CONFIG_A=y\n")
    with pytest.raises(UsageError) as caught:
        kconfig.request(["nothing"], [], [])
    listed = caught.value.hint.removeprefix("available: ").partition(";")[0].split(", ")
    assert {"base", "debug", "mine", "nvmet"} <= set(listed)
    assert listed == sorted(listed)


@pytest.mark.parametrize("name", ["missing.config", "./missing", "."])
def test_a_file_that_cannot_be_read_is_named(name: str) -> None:
    with pytest.raises(UsageError):
        kconfig.request([Path(name)], [], [])


def test_a_binary_file_is_refused(elsewhere: Path) -> None:
    file = elsewhere / "binary.config"
    file.write_bytes(b"\x7fELF\xff\xfe")
    with pytest.raises(UsageError, match="not text"):
        kconfig.request([file], [], [])


def test_compare_returns_what_did_not_land() -> None:
    requested = ["A=y", "B=n", "C=n", "D=16", "E=y", 'F="x"', "G=m"]
    config = 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=0x10\nCONFIG_F="x"\nCONFIG_G=y\n'
    differences = kconfig.compare(kconfig.request([], requested, []), config)
    assert [(d.option.name, d.got) for d in differences] == [("E", "n"), ("G", "y")]
    assert str(differences[0]) == "CONFIG_E=y was requested (command line) but is not set"


def test_the_digest_does_not_depend_on_order() -> None:
    one = kconfig.request([], ["A=y", "B=n"], [])
    assert one.digest == kconfig.request([], ["B=n", "A=y"], []).digest
    assert one.digest != kconfig.request([], ["A=y", "B=y"], []).digest
