# SPDX-License-Identifier: GPL-2.0-only
"""Release numbers and apt's configuration, as text."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.source import debian, releases


@pytest.mark.parametrize(
    ("asked", "matching", "others"),
    [
        ("7.2", ["7.2", "7.2.1", "7.2.13"], ["7.20.1", "7.3", "7.2-rc1", "6.7.2"]),
        ("v7.2.13", ["7.2.13"], ["7.2.1", "7.2.14", "7.2"]),
        ("7.2.0", ["7.2"], ["7.2.1", "7.2-rc1"]),
        ("7.3-rc2", ["7.3-rc2"], ["7.3", "7.3-rc1"]),
    ],
)
def test_requested_releases(asked: str, matching: list[str], others: list[str]) -> None:
    wanted = releases.parse(asked)
    assert [number for number in matching + others if wanted.matches(number)] == matching


@pytest.mark.parametrize("asked", ["", "7", "latest", "7.2.x", "7.2.1-rc1", "../7.2", "7.2.1.1"])
def test_invalid_releases(asked: str) -> None:
    with pytest.raises(UsageError, match="not a kernel release") as caught:
        releases.parse(asked)
    assert "7.2.13" in caught.value.hint


def test_releases_are_sorted() -> None:
    numbers = ["7.2.10", "7.10", "7.2", "7.2-rc12", "7.2.9", "6.12.1", "7.2-rc1"]
    assert sorted(numbers, key=releases.sort_key) == [
        "6.12.1", "7.2-rc1", "7.2-rc12", "7.2", "7.2.9", "7.2.10", "7.10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("makefile", "number"),
    [
        ("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\nNAME = X\n", "7.2.13"),
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "7.3-rc2"),
        ("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 0\nEXTRAVERSION =\n", "7.2"),
        ("VERSION = 1.0\nall:\n\techo\n", ""),
        ("", ""),
    ],
)
def test_the_release_in_a_makefile(makefile: str, number: str) -> None:
    assert releases.of_makefile(makefile) == number


def test_package_versions() -> None:
    assert debian.upstream("7.2.13-1") == "7.2.13"
    assert debian.upstream("7.2.12-1~bpo13+1") == "7.2.12"
    assert debian.upstream("7.3~rc4-1~exp1") == "7.3-rc4"
    assert debian.upstream("7.2") == "7.2"


def test_one_line_sources() -> None:
    text = """
    # deb http://old.example.org/debian sid main
    deb http://mirror.example.org/debian/ trixie main contrib # here
    deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://example.org/debian sid main
    deb-src http://mirror.example.org/debian trixie main
    """
    plain, signed = debian.one_line(text)
    assert plain == debian.Repository(
        "http://mirror.example.org/debian/", ("trixie",), ("main", "contrib")
    )
    assert signed.options == (("Signed-By", "/usr/share/keyrings/x.gpg"),)
    assert signed.suites == ("sid",)


def test_deb822_sources() -> None:
    text = """\
Types: deb deb-src
# a comment in the middle
URIs: http://one.example.org/debian http://two.example.org/debian
Suites: bookworm
  bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example.org/debian
Suites: sid
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example.org/debian
Suites: sid
Components: main
"""
    one, two = debian.deb822(text)
    assert (one.uri, two.uri) == (
        "http://one.example.org/debian", "http://two.example.org/debian",
    )  # fmt: skip
    assert one.suites == ("bookworm", "bookworm-updates")
    (again,) = debian.deb822(debian.stanza_of(one, ("sid", "forky")))
    assert again == debian.Repository(one.uri, ("sid", "forky"), ("main",), one.options)
    assert "\n -----END" in dict(again.options)["Signed-By"]


def test_which_repositories_are_debian_mirrors() -> None:
    def repository(uri: str, suite: str, component: str = "main") -> debian.Repository:
        return debian.Repository(uri, (suite,), (component,))

    mirrors = debian.mirrors(
        [
            repository("http://a.example.org/debian", "bookworm"),
            repository("http://a.example.org/debian/", "bookworm-updates"),
            repository("http://a.example.org/debian-security", "bookworm-security"),
            repository("http://b.example.org/docker", "bookworm", "stable"),
            repository("http://c.example.org/node", "nodistro"),
            repository("http://d.example.org/debian", "trixie-backports"),
        ]
    )
    assert [mirror.uri for mirror in mirrors] == [
        "http://a.example.org/debian", "http://d.example.org/debian",
    ]  # fmt: skip
