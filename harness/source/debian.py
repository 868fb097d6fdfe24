# SPDX-License-Identifier: GPL-2.0-only
"""Download Debian's linux-source packages from the machine's mirror, with a separate apt state.

This needs no root and leaves the system's apt alone: lists, caches and sources are our own, and
hooks of the machine's configuration are disabled, but its proxies and credentials are used.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from debian.deb822 import Deb822
from debian.debian_support import Version

from harness import paths, process
from harness.errors import HostFault
from harness.progress import Stage
from harness.source import releases
from harness.source.releases import Offer, ReleaseRequest

_FETCHER = "/usr/lib/apt/apt-helper"  # a part of apt that is not in PATH

# Suites with newer kernels, tried first; then those that keep a kernel for years.
_NEW = ("sid", "forky", "trixie-backports")
_STABLE = ("trixie", "bookworm-backports", "bookworm", "experimental")
# A repository that serves one of these is a Debian mirror.
_DEBIAN = {
    *("bookworm", "trixie", "forky", "duke", "sid", "experimental"),
    *("oldstable", "stable", "testing", "unstable"),
}
# Options about trust, not about what to fetch.
_TRUST = ("signed-by", "trusted", "check-valid-until", "check-date", "allow-insecure")
_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)")
_DISABLED = ("no", "false", "0", "off", "without")

_CONF = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  Optional "no";
}};
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";  // the user _apt cannot access a cache in a home folder
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{top}/sources.list.d";
Dir::State "{top}";
Dir::State::lists "{top}/lists";
Dir::State::status "{top}/status";
Dir::Cache "{top}";
Dir::Cache::archives "{top}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""


@dataclasses.dataclass(frozen=True)
class Repository:
    """A configured repository; ``options`` are deb822 fields (Signed-By may contain a key)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()


def offers(request: ReleaseRequest, stage: Stage) -> list[Offer]:
    """Return the packages that match, newest first.

    Raises HostFault if apt is missing, has no Debian mirror among its sources, or gets no answer.
    """
    if not shutil.which("apt-get"):
        raise HostFault("this machine has no apt-get", hint="check the network")
    debian = mirrors(configured())
    if not debian:
        raise HostFault("no Debian mirror among apt's sources", hint="check the network")
    own = dict.fromkeys(suite for mirror in debian for suite in mirror.suites)
    conf = _write_conf()
    complaints: list[str] = []
    for suites in (_NEW, tuple(dict.fromkeys([*_NEW, *_STABLE, *own]))):
        stage.update(note=f"searching Debian {', '.join(suites)}")
        complaints = _update(conf, debian, suites, stage)
        if packages := _packages(conf, request):
            return packages
    if complaints:
        raise HostFault(
            f"apt-get update: {complaints[0]}",
            hint="check the network",
            details="\n".join(complaints),
        )
    return []


def configured() -> list[Repository]:
    """Read the enabled sources of the system's apt, in both formats."""
    words = ("LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
    output = process.run(("apt-config", "shell", *words)).stdout
    names = dict(word.split("=", 1) for word in shlex.split(output))
    parts = Path(names.get("PARTS") or "/etc/apt/sources.list.d")
    files = [Path(names.get("LIST") or "/etc/apt/sources.list"), *sorted(parts.glob("*"))]
    repositories: list[Repository] = []
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            text = file.read_text(errors="replace")
            repositories += deb822(text) if file.suffix == ".sources" else one_line(text)
    return repositories


def one_line(text: str) -> list[Repository]:
    """Parse the format of sources.list: deb [option=value ...] URI suite component..."""
    repositories = []
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            pairs = (word.partition("=") for word in (match[1] or "").split())
            options = tuple(
                (name.title(), value) for name, _, value in pairs if name.lower() in _TRUST
            )
            components = tuple(match[4].split())
            repositories.append(Repository(match[2], (match[3],), components, options))
    return repositories


def deb822(text: str) -> list[Repository]:
    """Parse the format of *.sources; a stanza with several URIs yields several repositories."""
    return [
        Repository(
            uri,
            tuple(stanza.get("Suites", "").split()),
            tuple(stanza.get("Components", "").split()),
            tuple((name.title(), stanza[name]) for name in _TRUST if name in stanza),
        )
        for stanza in Deb822.iter_paragraphs(text, use_apt_pkg=False)
        if "deb" in stanza.get("Types", "").split()
        and stanza.get("Enabled", "yes").lower() not in _DISABLED
        for uri in stanza.get("URIs", "").split()
    ]


def stanza_of(repository: Repository, suites: Sequence[str]) -> str:
    """Return a stanza for *.sources with the main component of ``suites`` in the repository."""
    stanza = Deb822({"Types": "deb", "URIs": repository.uri})
    stanza.update({"Suites": " ".join(suites), "Components": "main", **dict(repository.options)})
    return str(stanza)


def mirrors(repositories: Sequence[Repository]) -> list[Repository]:
    """Return the repositories with Debian's main archive, each URI once."""
    chosen: dict[str, Repository] = {}
    for repository in repositories:
        names = {re.sub(r"-(updates|backports)$", "", suite) for suite in repository.suites}
        if "main" in repository.components and names & _DEBIAN:
            chosen.setdefault(repository.uri.rstrip("/"), repository)
    return list(chosen.values())


def _write_conf() -> Path:
    top = paths.cache("lists")
    for name in ("lists/partial", "archives/partial", "sources.list.d"):
        paths.cache("lists", *name.split("/"))
    (top / "status").touch()
    conf = top / "apt.conf"
    conf.write_text(_CONF.format(top=top))
    return conf


def _update(
    conf: Path, debian: Sequence[Repository], suites: Sequence[str], stage: Stage
) -> list[str]:
    """Fetch the suites' package lists; return apt's error messages (a suite may not exist).

    Raises HostFault if all suites fail, in which case apt itself would use old lists.
    """
    text = "\n".join(stanza_of(mirror, suites) for mirror in debian)
    (conf.parent / "sources.list.d" / "harness.sources").write_text(text)
    _, lines = _apt(conf, ("apt-get", "update"), stage)
    complaints = [line for line in lines if re.match(r"E: |W: Failed to fetch", line)]
    if not any(re.match(r"(?:Get|Hit):|.* does not have a Release file", line) for line in lines):
        reason = complaints[0] if complaints else "apt-get update fetched nothing"
        raise HostFault(reason, hint="check the network", details="\n".join(complaints))
    return complaints


def _apt(
    conf: Path, words: process.Argv, stage: Stage, size: int = 0, what: str = ""
) -> tuple[int, list[str]]:
    """Run one of apt's programs and show its progress; return its exit status and output."""
    lines: list[str] = []

    def show(line: str) -> None:
        if match := re.match(r"dlstatus:\d+:([\d.]+):", line):
            if size:
                done = float(match[1]) / 100 * size
                stage.update(done / 1e6, size / 1e6, f"MB of {what}")
        else:
            lines.append(line)
            if line.startswith("Get:"):
                stage.update(note=line)

    program, *rest = words
    argv = (program, "-c", conf, "-q", "-o", "APT::Status-Fd=1", *rest)
    return process.follow(argv, show), lines


def _packages(conf: Path, request: ReleaseRequest) -> list[Offer]:
    """Return the matching packages in apt's lists, newest first, each kernel release once."""
    name = f"linux-source-{request.line}"
    output = process.run(("apt-cache", "-c", conf, "show", name), check=False).stdout
    stanzas = [
        stanza
        for stanza in Deb822.iter_paragraphs(output, use_apt_pkg=False)
        if stanza.get("Package") == name and "Version" in stanza and "SHA256" in stanza
    ]
    newest: dict[str, Offer] = {}
    for stanza in sorted(stanzas, key=lambda stanza: Version(stanza["Version"]), reverse=True):
        version = upstream(stanza["Version"])
        if request.matches(version):
            newest.setdefault(version, _offer(conf, version, stanza))
    return sorted(newest.values(), key=lambda o: releases.sort_key(o.version), reverse=True)


def upstream(package_version: str) -> str:
    """Return the kernel release of a package version: 7.2.13-1~bpo13+1 is 7.2.13."""
    return (Version(package_version).upstream_version or "").replace("~rc", "-rc")


def _offer(conf: Path, version: str, package: Mapping[str, str]) -> Offer:
    patched = "Debian patches" in package.get("Description", "")
    return Offer(
        version=version,
        name=f"debian-{package['Version'].replace('~', '_')}",
        origin=f"Debian package {package['Package']} {package['Version']}"
        + (", with Debian's patches" if patched else ""),
        size=int(package["Size"]),
        fetch=functools.partial(_fetch, conf, package),
    )


def _fetch(conf: Path, package: Mapping[str, str], folder: Path, stage: Stage) -> Path:
    """Download and unpack the package; return the tarball in it."""
    name = f"{package['Package']}={package['Version']}"
    size, place = int(package["Size"]), folder / Path(package["Filename"]).name
    if not place.exists() or place.stat().st_size != size:
        _download(conf, name, place, package["SHA256"], size, stage)
    releases.check_sha256(place, package["SHA256"], name)
    inside = folder / "inside"
    shutil.rmtree(inside, ignore_errors=True)
    process.run(("dpkg-deb", "--extract", place, inside))
    tarballs = list(inside.glob("usr/src/linux-source-*.tar.*"))
    if len(tarballs) != 1:
        raise HostFault(f"{name} contains no kernel tarball", hint="try another release")
    return tarballs[0]


def _download(conf: Path, package: str, place: Path, sha256: str, size: int, stage: Stage) -> None:
    """Download the package with apt, which uses its proxies and credentials.

    apt-helper resumes an interrupted download, unlike ``apt-get download``.
    """
    words = ("apt-get", "-c", conf, "-qq", "download", "--print-uris", package)
    uri = re.search(r"'([^']+)'", process.run(words).stdout)
    if not uri:
        raise HostFault(f"apt has no download URL for {package}", hint="try again later")
    fetch = (_FETCHER, "download-file", uri[1], place, f"SHA256:{sha256}")
    status, lines = _apt(conf, fetch, stage, size, package)
    if status or not place.exists():
        reason = next((line for line in lines if line.startswith("E: ")), f"status {status}")
        raise HostFault(
            f"downloading {package} failed: {reason}",
            hint="check the network",
            details="\n".join(lines[-10:]),
        )
