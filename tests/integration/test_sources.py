# SPDX-License-Identifier: GPL-2.0-only
"""Releases from our own web server and apt repository, and users' trees."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import smalltree

from harness import git, paths, process, source
from harness.errors import HarnessError, HostFault, UsageError
from harness.progress import Progress
from harness.source import debian, kernel_org, sources, unpack
from harness.source.releases import Offer
from harness.source.sources import Provider

QUIET = Progress(quiet=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cäche dir"))


def tarball(path: Path, number: str, extra: str = "x") -> Path:
    """Make a small kernel's tarball with every kind of member."""
    sub = number.split(".")[2] if number.count(".") == 2 else "0"
    files = {
        "Makefile": smalltree.MAKEFILE.replace("= 13", f"= {sub}"),
        "Kbuild": "obj-y += fs/\n",
        "Kconfig": "mainmenu x\n",
        ".gitignore": "*.o\n",
        "ignored.o": extra,
        'fs/"quoted" ä b.c': "\0binary\xff\n",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz", format=tarfile.GNU_FORMAT) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"linux-{number}/{name}")
            data = text.encode("latin-1") if "fs/" in name else text.encode()
            info.size, info.mtime, info.mode = len(data), 1_700_000_000, 0o664
            tar.addfile(info, io.BytesIO(data))
        script = tarfile.TarInfo(f"linux-{number}/scripts/run.sh")
        script.mode, script.mtime = 0o775, 1_700_000_009
        tar.addfile(script)
        link = tarfile.TarInfo(f"linux-{number}/link")
        link.type, link.linkname = tarfile.SYMTYPE, "fs/../Makefile"
        tar.addfile(link)
    return path


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, with ranges; counts requests; hangs up after ``cut`` bytes of a body."""

    daemon_threads = True
    cut = 0
    asked: list[str]


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        self.server.asked.append(f"{path.name} {self.headers.get('Range', '')}".strip())
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        cut, self.server.cut = self.server.cut, 0
        self.wfile.write(data[begin : begin + cut] if cut else data[begin:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A stand-in for kernel.org with 7.2.12 and 7.2.13, the only provider."""
    folder = tmp_path / "www" / "v7.x"
    sums = ""
    for number in ("7.2.12", "7.2.13"):
        path = tarball(folder / f"linux-{number}.tar.xz", number)
        sums += f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    (folder / "sha256sums.asc").write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{sums}")
    handler = functools.partial(Handler, directory=str(tmp_path / "www"))
    with Server(("127.0.0.1", 0), handler) as http_server:
        http_server.asked = []
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        host, port = http_server.server_address[:2]
        monkeypatch.setattr(kernel_org, "BASE", f"http://{host!s}:{port}")
        monkeypatch.setattr(sources, "PROVIDERS", (Provider("kernel.org", kernel_org.offers),))
        yield http_server
        http_server.shutdown()


def test_newest_of_a_line(server: Server) -> None:
    got = source.release("7.2", QUIET)
    assert got.name == "v7.2.13"
    assert got.repo.name == "linux-7.2.13"
    assert got.origin.endswith("/v7.x/linux-7.2.13.tar.xz")
    assert git.line(got.repo, "rev-parse", "v7.2.13") == got.commit
    assert not list(paths.cache("downloads").iterdir())
    before = len(server.asked)
    assert source.release("7.2", QUIET) == got
    assert source.release("7.2.13", QUIET) == got
    assert len(server.asked) == before  # no network the second time


def test_the_repository_has_the_tree_that_git_add_makes(server: Server, tmp_path: Path) -> None:
    got = source.release("7.2.12", QUIET)
    with tarfile.open(tmp_path / "www/v7.x/linux-7.2.12.tar.xz") as tar:
        tar.extractall(tmp_path / "plain", filter="fully_trusted")
    plain = tmp_path / "plain" / "linux-7.2.12"
    git.run(plain, "init", "--quiet")
    smalltree.commit(plain, "all")
    expected = git.line(plain, "rev-parse", "HEAD^{tree}")
    assert git.line(got.repo, "rev-parse", f"{got.commit}^{{tree}}") == expected
    assert git.run(got.repo, "fsck", "--strict").ok
    assert git.line(got.repo, "show", "-s", "--format=%an %at %ct") == (
        "harness 1700000009 1700000009"
    )


def test_commits_are_the_same_everywhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source.release("7.2.12", QUIET)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert source.release("7.2.12", QUIET).commit == first.commit


def test_a_newer_release_is_found_after_a_day_or_on_refresh(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "www" / "v7.x"
    sums = (folder / "sha256sums.asc").read_text()
    (folder / "sha256sums.asc").write_text(sums.replace("7.2.13", "7.2.99"))
    assert source.release("7.2", QUIET).name == "v7.2.12"  # 7.2.99 is listed, and not there
    (folder / "sha256sums.asc").write_text(sums)
    assert source.release("7.2", QUIET).name == "v7.2.12"
    assert source.release("7.2", QUIET, refresh=True).name == "v7.2.13"
    answers = paths.cache("sources") / "newest.json"
    said = json.loads(answers.read_text())
    assert 0 <= time.time() - said["7.2"]["time"] < 600
    said["7.2"] = {"name": "linux-7.2.12", "time": time.time() - 90_000}
    answers.write_text(json.dumps(said))
    assert source.release("7.2", QUIET).name == "v7.2.13"


def test_without_a_network_the_newest_cached_release_is_used(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    got = source.release("7.2.12", QUIET)
    server.shutdown()
    server.server_close()
    assert source.release("7.2", Progress(quiet=True), refresh=True) == got
    assert "using 7.2.12 from the cache" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(HostFault, match=r"Linux 7\.3 is not available") as caught:
        source.release("7.3", QUIET)
    assert "refused" in caught.value.details.lower()


def test_a_download_continues_where_it_stopped(server: Server) -> None:
    url = f"{kernel_org.BASE}/v7.x/linux-7.2.13.tar.xz"
    place = paths.cache("downloads") / "x.tar.xz"
    with QUIET.stage("source") as stage:
        sums = kernel_org.download_text(f"{kernel_org.BASE}/v7.x/sha256sums.asc")
        sha256 = next(line.split()[0] for line in sums.splitlines() if "7.2.13" in line)
        server.cut = 100
        assert kernel_org.download(url, place, sha256, stage) == place
    assert server.asked[-2:] == ["linux-7.2.13.tar.xz", "linux-7.2.13.tar.xz bytes=100-"]


def test_a_wrong_checksum(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "www/v7.x/linux-7.2.13.tar.xz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(HostFault, match=r"7\.2\.13 is not available") as caught:
        source.release("7.2.13", QUIET)
    assert "wrong checksum" in caught.value.details


def test_a_damaged_tarball_leaves_nothing(tmp_path: Path) -> None:
    whole = tarball(tmp_path / "x.tar.xz", "7.2.13").read_bytes()
    (tmp_path / "x.tar.xz").write_bytes(whole[:-200])
    place = paths.cache("sources") / "linux-7.2.13"
    with QUIET.stage("source") as stage, pytest.raises(HostFault, match="damaged"):
        unpack.unpack(tmp_path / "x.tar.xz", place, "7.2.13", "x", stage)
    assert list(place.parent.iterdir()) == []


def test_a_tarball_of_another_release(tmp_path: Path) -> None:
    place = paths.cache("sources") / "linux-7.2.13"
    path = tarball(tmp_path / "x.tar.xz", "7.2.12")
    with QUIET.stage("source") as stage, pytest.raises(HostFault, match=r"7\.2\.12, not 7\.2\.13"):
        unpack.unpack(path, place, "7.2.13", "x", stage)
    assert list(place.parent.iterdir()) == []


def test_ctrl_c_while_unpacking_keeps_the_download(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_import", interrupted)
        with pytest.raises(KeyboardInterrupt):
            source.release("7.2", QUIET)
    assert [path.name for path in paths.cache("sources").iterdir()] == ["lock"]
    assert source.release("7.2", QUIET).name == "v7.2.13"
    assert server.asked.count("linux-7.2.13.tar.xz") == 1


def test_no_space(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(paths.cache())._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(HostFault) as caught:
        source.release("7.2.13", QUIET)
    assert "are free" in caught.value.details


def test_two_at_once(server: Server) -> None:
    got: list[object] = []
    threads = [
        threading.Thread(target=lambda: got.append(source.release("7.2", QUIET))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] == got[1]
    assert sum(name.startswith("linux-7.2.13") for name in server.asked) == 1


def test_every_providers_reason_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[Offer]:
        raise HostFault("no such luck")

    both = (Provider("one", refuse), Provider("two", lambda *_: []))
    monkeypatch.setattr(sources, "PROVIDERS", both)
    with pytest.raises(HostFault) as caught:
        source.release("7.2", QUIET)
    assert caught.value.details == "one: no such luck\ntwo: has no 7.2"


needs_apt = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="not a Debian"
)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a Debian mirror in a folder, with 7.2.12 and 7.2.13 in forky; only it is configured."""
    top = tmp_path / "mirror" / "debian"
    index = ""
    for number in ("7.2.12-1~bpo13+1", "7.2.13-1"):
        index += _package(top, number)
    arch = process.run(("dpkg", "--print-architecture")).stdout.strip()
    packages = top / "dists/forky/main" / f"binary-{arch}" / "Packages"
    packages.parent.mkdir(parents=True)
    packages.write_text(index)
    sha256 = hashlib.sha256(packages.read_bytes()).hexdigest()
    name = packages.relative_to(top / "dists/forky")
    (top / "dists/forky/Release").write_text(
        "Origin: Debian\nSuite: testing\nCodename: forky\nComponents: main\n"
        f"Architectures: {arch}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {sha256} {packages.stat().st_size} {name}\n"
    )
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/sources.list").write_text(f"deb [trusted=yes] file:{top} forky main\n")
    conf = tmp_path / "etc/apt.conf"
    conf.write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/etc/sources.list";\n'
        f'Dir::Etc::sourceparts "{tmp_path}/etc/none";\n'
        f'APT::Update::Post-Invoke {{ "touch {tmp_path}/hook-ran"; }};\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(conf))
    monkeypatch.setattr(sources, "PROVIDERS", (Provider("Debian", debian.offers),))
    return top


def _package(top: Path, number: str) -> str:
    """Build one linux-source package; returns its entry for the Packages file."""
    release = number.partition("-")[0]
    build = top.parent / f"build-{release}"
    tarball(build / "usr/src/linux-source-7.2.tar.xz", release)
    control = (
        f"Package: linux-source-7.2\nVersion: {number}\nArchitecture: all\n"
        "Maintainer: x <x@example.org>\n"
        "Description: Linux kernel source for version 7.2 with Debian patches\n"
    )
    smalltree.write(build, "DEBIAN/control", control)
    name = f"pool/linux-source-7.2_{number}_all.deb"
    (top / "pool").mkdir(parents=True, exist_ok=True)
    process.run(("dpkg-deb", "--root-owner-group", "--build", build, top / name))
    data = (top / name).read_bytes()
    return (
        f"{control}Filename: {name}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )


@needs_apt
def test_debian_package(mirror: Path, tmp_path: Path) -> None:
    got = source.release("7.2", QUIET)
    assert (got.name, got.repo.name) == ("v7.2.13", "debian-7.2.13-1")
    assert got.origin == "Debian package linux-source-7.2 7.2.13-1, with Debian's patches"
    assert source.release("7.2.12", QUIET).name == "v7.2.12"
    assert not (tmp_path / "hook-ran").exists()
    assert not list(paths.cache("downloads").iterdir())
    shutil.rmtree(mirror)
    assert source.release("7.2", QUIET) == got


@needs_apt
def test_a_package_whose_download_was_killed(mirror: Path) -> None:
    whole = (mirror / "pool/linux-source-7.2_7.2.13-1_all.deb").read_bytes()
    left = paths.cache("downloads", "debian-7.2.13-1") / "linux-source-7.2_7.2.13-1_all.deb"
    left.write_bytes(whole[: len(whole) // 2])
    assert source.release("7.2", QUIET).name == "v7.2.13"


@needs_apt
def test_a_release_that_debian_does_not_have(mirror: Path) -> None:
    with pytest.raises(HostFault, match="is not available") as caught:
        source.release("7.2.99", QUIET)
    assert "Debian: " in caught.value.details


@needs_apt
def test_an_altered_debian_package(mirror: Path) -> None:
    with (mirror / "pool/linux-source-7.2_7.2.13-1_all.deb").open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"altered")
    with pytest.raises(HostFault, match="is not available"):
        source.release("7.2.13", QUIET)
    assert not list(paths.cache("sources").glob("debian-*"))


@needs_apt
def test_no_mirror_among_the_sources(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "etc/sources.list").write_text("deb http://example.org/x nodistro main\n")
    with pytest.raises(HostFault) as caught:
        source.release("7.2", QUIET)
    assert "no Debian mirror" in caught.value.details


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Path]:
    path = smalltree.kernel(tmp_path / "my kërnel")
    before = smalltree.state(path)
    yield path
    assert smalltree.state(path) == before


@pytest.mark.parametrize("ref", ["HEAD", "v7.2.13", "main", "v7.2.13^{commit}"])
def test_a_tree_at_a_ref(kernel: Path, ref: str) -> None:
    got = source.from_tree(kernel, ref)
    assert got.repo == kernel
    assert got.commit == git.line(kernel, "rev-parse", "HEAD")
    assert ref in got.name
    assert got.origin == f"{kernel}, Linux 7.2.13"


def test_every_kind_of_tree(kernel: Path, tmp_path: Path) -> None:
    local = {"GIT_ALLOW_PROTOCOL": "file"}
    clone = ("clone", "--quiet", "--no-hardlinks")
    git.run(tmp_path, *clone, kernel, tmp_path / "clone", env=local)
    git.run(tmp_path, *clone, "--bare", kernel, tmp_path / "bare", env=local)
    git.run(tmp_path, *clone, "--depth=1", f"file://{kernel}", tmp_path / "shallow", env=local)
    git.run(tmp_path / "clone", "worktree", "add", "--quiet", tmp_path / "linked")
    commits = {source.from_tree(tmp_path / kind, "v7.2.13").commit for kind in ("clone", "bare")}
    commits |= {source.from_tree(tmp_path / kind, "HEAD").commit for kind in ("shallow", "linked")}
    assert commits == {git.line(kernel, "rev-parse", "HEAD")}


def test_git_variables_do_not_mislead(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert source.from_tree(kernel, "HEAD").commit


def refused(path: Path, ref: str, what: str, hint: str) -> None:
    with pytest.raises(HarnessError, match=what) as caught:
        source.from_tree(path, ref)
    assert isinstance(caught.value, UsageError)
    assert hint in caught.value.hint


def test_folders_that_are_not_git_trees(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").touch()
    refused(tmp_path / "nowhere", "HEAD", "does not exist", "--tree")
    refused(tmp_path / "file", "HEAD", "does not exist", "--tree")
    refused(tmp_path / "plain", "HEAD", "not a git tree", "--kernel")
    refused(kernel / "fs", "HEAD", "not a git tree", str(kernel))


def test_an_unknown_ref(kernel: Path) -> None:
    refused(kernel, "v7.2.31", "no commit 'v7.2.31'", "did you mean v7.2.13?")
    refused(kernel, "0123456789", "no commit", "fetch")
    refused(kernel, "", "no commit", "fetch")
    refused(kernel, "--all", "no commit", "fetch")


def test_git_trees_that_are_not_kernels(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.mkdir()
    git.run(path, "init", "--quiet")
    refused(path, "HEAD", "no commit 'HEAD'", "")
    smalltree.write(path, "Makefile", "all:\n")
    smalltree.commit(path, "one")
    refused(path, "HEAD", "not a kernel tree: it has no Kbuild, Kconfig", "--tree")
    smalltree.write(path, "Kbuild", "")
    smalltree.write(path, "Kconfig", "")
    smalltree.commit(path, "two")
    refused(path, "HEAD", "no VERSION in its Makefile", "--tree")


def test_another_users_tree(kernel: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    before = kernel.stat()
    os.chown(kernel, 65534, 65534)
    try:
        assert source.from_tree(kernel, "HEAD").commit
    finally:
        os.chown(kernel, before.st_uid, before.st_gid)


def test_nothing_half_made_after_sigkill_while_unpacking(server: Server, tmp_path: Path) -> None:
    stub = tmp_path / "bin" / "git"
    smalltree.write(
        tmp_path / "bin",
        "git",
        f'#!/bin/sh\n"{shutil.which("git")}" "$@"\nstatus=$?\n'
        f'case " $* " in *" fast-import "*) touch "{tmp_path}/reached"; sleep 60;; esac\n'
        "exit $status\n",
    )
    stub.chmod(0o755)
    program = (
        "import sys\nfrom harness import source\nfrom harness.progress import Progress\n"
        "from harness.source import kernel_org, sources\n"
        "from harness.source.sources import Provider\n"
        f"kernel_org.BASE = {kernel_org.BASE!r}\n"
        "sources.PROVIDERS = (Provider('x', kernel_org.offers),)\n"
        "source.release('7.2', Progress(quiet=True))\n"
    )
    env = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", program], env=env) as victim:
        while not (tmp_path / "reached").exists():
            assert victim.poll() is None
            time.sleep(0.01)
        victim.kill()
    assert unpack.cached(paths.cache("sources")) == []
    assert source.release("7.2", QUIET).name == "v7.2.13"
    assert not list(paths.cache("sources").glob(".linux-*"))
