# SPDX-License-Identifier: GPL-2.0-only
"""Debian's linux-source packages, through the machine's mirror and an apt state of our own.

No root is needed and the system's apt is not touched: lists, caches and sources are ours, hooks of
the machine's configuration are switched off; its proxies and credentials stay in force.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness import paths, process
from harness.errors import HostFault
from harness.progress import Stage
from harness.source import aptconf, download, version
from harness.source.offer import Offer

_FETCHER = "/usr/lib/apt/apt-helper"  # a part of apt that is not in PATH

# Where newer kernels are, asked first; then the suites that keep one kernel for years.
_NEW = ("sid", "forky", "trixie-backports")
_STABLE = ("trixie", "bookworm-backports", "bookworm", "experimental")
# A repository that serves one of these is a Debian mirror.
_DEBIAN = {
    *("bookworm", "trixie", "forky", "duke", "sid", "experimental"),
    *("oldstable", "stable", "testing", "unstable"),
}

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
APT::Sandbox::User "root";  // the user _apt cannot reach a cache in somebody's home
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


def offers(wanted: version.Wanted, stage: Stage) -> list[Offer]:
    """Give the packages that match, newest first.

    Raises HostFault when there is no apt, no Debian mirror among its sources, or no answer.
    """
    if not shutil.which("apt-get"):
        raise HostFault("this machine has no apt-get", hint="check the network")
    asked = mirrors(aptconf.configured())
    if not asked:
        raise HostFault("no Debian mirror among apt's sources", hint="check the network")
    own = dict.fromkeys(suite for mirror in asked for suite in mirror.suites)
    conf = _conf()
    said: list[str] = []
    for suites in (_NEW, tuple(dict.fromkeys([*_NEW, *_STABLE, *own]))):
        stage.update(note=f"asking Debian's {', '.join(suites)}")
        said = _update(conf, asked, suites, stage)
        found = _listed(conf, wanted)
        if found:
            return found
    if said:
        raise HostFault(
            f"apt-get update: {said[0]}", hint="check the network", details="\n".join(said)
        )
    return []


def mirrors(configured: Sequence[aptconf.Repository]) -> list[aptconf.Repository]:
    """Choose the repositories that hold Debian's main archive, each URI once."""
    chosen: dict[str, aptconf.Repository] = {}
    for repository in configured:
        names = {re.sub(r"-(updates|backports)$", "", suite) for suite in repository.suites}
        if "main" in repository.components and names & _DEBIAN:
            chosen.setdefault(repository.uri.rstrip("/"), repository)
    return list(chosen.values())


def _conf() -> Path:
    top = paths.cache("lists")
    for name in ("lists/partial", "archives/partial", "sources.list.d"):
        paths.cache("lists", *name.split("/"))
    (top / "status").touch()
    conf = top / "apt.conf"
    conf.write_text(_CONF.format(top=top))
    return conf


def _update(
    conf: Path, asked: Sequence[aptconf.Repository], suites: Sequence[str], stage: Stage
) -> list[str]:
    """Fetch the suites' package lists; gives apt's complaints (a suite may not be there).

    Raises HostFault when no suite answers at all: apt itself then goes on with older lists.
    """
    text = "\n".join(aptconf.stanza(mirror, tuple(suites)) for mirror in asked)
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
    """Run a program of apt's, showing how far it is; gives its status and what it said."""
    said: list[str] = []

    def line(text: str) -> None:
        if match := re.match(r"dlstatus:\d+:([\d.]+):", text):
            if size:
                done = float(match[1]) / 100 * size
                stage.update(done / 1e6, size / 1e6, f"MB of {what}")
        else:
            said.append(text)
            if text.startswith("Get:"):
                stage.update(note=text)

    program, *rest = words
    argv = (program, "-c", conf, "-q", "-o", "APT::Status-Fd=1", *rest)
    return process.follow(argv, line), said


def _listed(conf: Path, wanted: version.Wanted) -> list[Offer]:
    package = f"linux-source-{wanted.line}"
    said = process.run(("apt-cache", "-c", conf, "show", package), check=False)
    found: dict[str, Offer] = {}
    for text in said.stdout.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE))
        number = upstream(fields.get("Version", ""))
        if fields.get("Package") != package or not wanted.matches(number):
            continue
        if "SHA256" in fields and number not in found:
            found[number] = _offer(conf, number, fields)
    return sorted(found.values(), key=lambda offer: version.key(offer.version), reverse=True)


def upstream(number: str) -> str:
    """Give the kernel release of a package version: 7.2.13-1~bpo13+1 is 7.2.13."""
    return number.rpartition("-")[0].replace("~rc", "-rc")


def _offer(conf: Path, number: str, fields: dict[str, str]) -> Offer:
    patched = ", with Debian's patches" if "Debian patches" in fields.get("Description", "") else ""
    return Offer(
        version=number,
        name=f"debian-{fields['Version'].replace('~', '_')}",
        origin=f"Debian package {fields['Package']} {fields['Version']}{patched}",
        size=int(fields["Size"]),
        fetch=functools.partial(_fetch, conf, fields),
    )


def _fetch(conf: Path, fields: dict[str, str], folder: Path, stage: Stage) -> Path:
    """Download and open the package; gives the tarball in it."""
    package = f"{fields['Package']}={fields['Version']}"
    size, place = int(fields["Size"]), folder / Path(fields["Filename"]).name
    if not place.exists() or place.stat().st_size != size:
        _download(conf, package, place, fields["SHA256"], size, stage)
    download.check(place, fields["SHA256"], package)
    inside = folder / "inside"
    shutil.rmtree(inside, ignore_errors=True)
    process.run(("dpkg-deb", "--extract", place, inside))
    tarballs = list(inside.glob("usr/src/linux-source-*.tar.*"))
    if len(tarballs) != 1:
        raise HostFault(f"{package} holds no kernel tarball", hint="try another release")
    return tarballs[0]


def _download(conf: Path, package: str, place: Path, sha256: str, size: int, stage: Stage) -> None:
    """Have apt download the package, with its proxies and credentials.

    ``apt-get download`` starts over after an interruption; apt-helper goes on where a file ends.
    """
    words = ("apt-get", "-c", conf, "-qq", "download", "--print-uris", package)
    uri = re.search(r"'([^']+)'", process.run(words).stdout)
    if not uri:
        raise HostFault(f"apt knows no address of {package}", hint="try again later")
    fetch = (_FETCHER, "download-file", uri[1], place, f"SHA256:{sha256}")
    status, said = _apt(conf, fetch, stage, size, package)
    if status or not place.exists():
        reason = next((line for line in said if line.startswith("E: ")), f"status {status}")
        raise HostFault(
            f"downloading {package}: {reason}",
            hint="check the network",
            details="\n".join(said[-10:]),
        )
