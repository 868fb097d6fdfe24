# SPDX-License-Identifier: GPL-2.0-only
"""git behaves the same whatever the user, the system, the tree and the environment have set."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import smalltree

from harness import git, series, tree
from harness.bisect import ranges
from harness.build import output
from harness.errors import NotApplied
from harness.model import CompilerWarning, Source
from harness.progress import Progress
from harness.series import SeriesRequest
from harness.tree import base, diagnose
from harness.tree.diagnose import Refusal

QUIET = Progress(quiet=True)

#: What somebody may have configured.  A program that is named makes the file {touched}.
CONFIG = """
[alias]
	blame = !{program}
	log = !{program}
[am]
	threeWay = false
	messageid = true
	keepcr = false
[apply]
	ignoreWhitespace = change
	whitespace = fix
[blame]
	ignoreRevsFile = {ignored}
	ignoreRevsFile = {tmp}/none
	markIgnoredLines = true
	markUnblamableLines = true
	date = relative
	showEmail = true
	blankBoundary = true
	coloring = highlightRecent
[color]
	ui = always
	diff = always
	advice = always
	blame = always
[column]
	ui = always
[commit]
	gpgSign = true
	cleanup = verbatim
	template = {tmp}/none
[core]
	abbrev = 40
	attributesFile = {attributes}
	autocrlf = true
	commentChar = auto
	eol = crlf
	excludesFile = {attributes}
	fsmonitor = {program}
	hooksPath = {hooks}
	pager = {program}
	editor = {program}
	quotePath = true
	whitespace = trailing-space,tab-in-indent,cr-at-eol
	sharedRepository = 0660
[diff]
	algorithm = histogram
	colorMoved = zebra
	context = 0
	external = {program}
	ignoreSubmodules = all
	indentHeuristic = false
	interHunkContext = 9
	mnemonicPrefix = true
	noprefix = true
	orderFile = {order}
	relative = true
	renameLimit = 1
	renames = false
	statNameWidth = 3
	submodule = log
	suppressBlankEmpty = true
	wordRegex = .
	wsErrorHighlight = all
[diff "cpp"]
	textconv = {program}
	command = {program}
[fetch]
	recurseSubmodules = true
[filter "bad"]
	clean = {program}
	smudge = {program}
[format]
	attach = true
	cc = Other <other@example.org>
	coverLetter = true
	encodeEmailHeaders = false
	forceInBodyFrom = true
	from = Other <other@example.org>
	headers = "X-Other: 1\\n"
	mboxrd = true
	noprefix = true
	notes = true
	numbered = false
	outputDirectory = {tmp}/elsewhere
	pretty = oneline
	signOff = true
	signature = other
	subjectPrefix = OTHER
	suffix = .txt
	thread = deep
	to = Other <other@example.org>
	useAutoBase = true
[gpg]
	program = {program}
[grep]
	lineNumber = true
	patternType = perl
[i18n]
	commitEncoding = ISO-8859-1
	logOutputEncoding = ISO-8859-1
[init]
	defaultBranch = other
	templateDir = {template}
[log]
	abbrevCommit = true
	date = relative
	decorate = full
	diffMerges = combined
	follow = true
	mailmap = true
	showRoot = false
	showSignature = true
[merge]
	conflictStyle = diff3
	directoryRenames = true
	renames = false
	renormalize = true
[notes]
	displayRef = refs/notes/*
[patchid]
	verbatim = true
[pager]
	log = {program}
	blame = {program}
[rerere]
	enabled = true
[submodule]
	recurse = true
[tag]
	gpgSign = true
[trailer]
	separators = %
	ifexists = replace
	where = start
[url "{tmp}/none"]
	insteadOf = /
[user]
	name = Other
	email = other@example.org
	useConfigOnly = true
"""

ENVIRONMENT = """
COLUMNS=20
GIT_ADVICE=1
GIT_ATTR_SOURCE=HEAD
GIT_AUTHOR_DATE=@1+0000
GIT_AUTHOR_NAME=Other
GIT_COMMITTER_DATE=@1+0000
GIT_COMMITTER_NAME=Other
GIT_COMMON_DIR=/nowhere
GIT_CONFIG={tmp}/system
GIT_CONFIG_COUNT=2
GIT_CONFIG_KEY_0=diff.noprefix
GIT_CONFIG_KEY_1=blame.ignoreRevsFile
GIT_CONFIG_PARAMETERS='diff.noprefix'='true'
GIT_CONFIG_SYSTEM={tmp}/system
GIT_CONFIG_VALUE_0=true
GIT_CONFIG_VALUE_1={tmp}/ignored
GIT_DEFAULT_HASH=sha256
GIT_DIFF_OPTS=-u0
GIT_DIR=/nowhere
GIT_EDITOR={program}
GIT_EXTERNAL_DIFF={program}
GIT_GLOB_PATHSPECS=1
GIT_GRAFT_FILE={tmp}/order
GIT_ICASE_PATHSPECS=1
GIT_INDEX_FILE=/nowhere/index
GIT_MERGE_VERBOSITY=5
GIT_NAMESPACE=other
GIT_NOGLOB_PATHSPECS=1
GIT_NOTES_REF=HEAD
GIT_OBJECT_DIRECTORY=/nowhere
GIT_PAGER={program}
GIT_PREFIX=fs/
GIT_QUARANTINE_PATH=/nowhere
GIT_REPLACE_REF_BASE=refs/other/
GIT_TEMPLATE_DIR={tmp}/template
GIT_TRACE2=2
GIT_TRACE=2
GIT_TRACE_SETUP=2
GIT_WORK_TREE=/nowhere
HOME={tmp}/home
LANG=C.UTF-8
LANGUAGE=de
LC_ALL=C.UTF-8
PAGER={program}
TZ=Asia/Tokyo
VISUAL={program}
XDG_CONFIG_HOME={tmp}/home/.config
"""


def hostile(kernel: Path, tmp: Path, patch: pytest.MonkeyPatch) -> Path:
    """Set everything that can be set; returns the file that the configured programs would write."""
    touched, program = tmp / "touched", tmp / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >>{touched}\necho other\n")
    program.chmod(0o755)
    for name in (
        "pre-commit",
        "post-checkout",
        "commit-msg",
        "applypatch-msg",
        "post-index-change",
    ):
        for folder in (tmp / "hooks", tmp / "template" / "hooks"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(program)
    (tmp / "order").write_text("fs/y.c\nfs/new.c\nfs/x.c\n")
    (tmp / "attributes").write_text("* filter=bad text eol=crlf\n*.c diff=cpp\n")
    commits = git.run(kernel, "rev-list", "--all").stdout
    (tmp / "ignored").write_text(commits)
    names = ("ignored", "attributes", "hooks", "order", "template")
    text = CONFIG.format(tmp=tmp, program=program, **{name: tmp / name for name in names})
    for place in (tmp / "home/.gitconfig", tmp / "home/.config/git/config", tmp / "system"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (tmp / "template" / "config").write_text(text)
    with (kernel / ".git" / "config").open("a") as own:
        own.write(text)
    for line in ENVIRONMENT.format(tmp=tmp, program=program).split():
        patch.setenv(*line.split("=", 1))
    return touched


SIGN = """#!/bin/sh
cat >/dev/null
echo '[GNUPG:] SIG_CREATED ' >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'
"""
#: Two texts that algorithms tell apart in different ways, with a blank line and two near places.
OLD = "a\nb\nc\na\nb\nb\na\n\n1\n2\n3\n4\n5\n6\n7\n8\n9\n/*\n * f\n */\nf {\n}\n"
NEW = OLD.replace("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n").replace("9", "nine")
NEW = NEW.replace("/*\n * f", "/*\n * e\n */\ne {\n}\n/*\n * f")


def grown(kernel: Path, tmp: Path) -> Path:
    """Give the small kernel a history in which every setting would show."""
    smalltree.write(kernel, ".gitattributes", "*.c diff=cpp\n")
    smalltree.replace(kernel, "fs/x.c", "line 20\n", "\tline of twenty letters \n")
    smalltree.replace(kernel, "fs/y.c", "line 20\n", "\tline of twenty more letters\n")
    smalltree.write(kernel, "fs/text", OLD)
    smalltree.commit(kernel, "fs: größer")
    git.run(kernel, "notes", "add", "-m", "a note", "HEAD", env=smalltree.PERSON)
    smalltree.replace(kernel, "fs/y.c", "\tline of twenty more letters\n", "")
    (kernel / "fs/y.c").rename(kernel / "fs/ü.c")
    smalltree.replace(kernel, "fs/ü.c", "line 3\n", "line three\n")
    (kernel / "Kbuild").rename(kernel / "Kbuild.other")
    smalltree.replace(kernel, "Kbuild.other", "+= fs/\n", "+= fs/\nobj-y += x/\n")
    smalltree.write(kernel, "fs/text", NEW)
    smalltree.commit(kernel, "fs: another name")
    smalltree.write(kernel, "fs/big.c", smalltree.LINES)
    smalltree.replace(kernel, "fs/x.c", "\tline of twenty letters \n", "")
    git.run(kernel, "add", "--all")
    (tmp / "sign").write_text(SIGN)
    (tmp / "sign").chmod(0o755)
    signed = ("-c", f"gpg.program={tmp / 'sign'}", "commit", "-S", "-m", "fs: without twenty")
    git.run(kernel, *signed, env=smalltree.PERSON)
    return kernel


def findings(kernel: Path, lost: Path) -> dict[str, Any]:
    """The results of everything that the harness asks git."""
    start = Source(kernel, git.line(kernel, "rev-parse", "v7.2.13"), "v7.2.13")
    got = series.load("v7.2.13..HEAD", SeriesRequest(tree=kernel))
    found: dict[str, Any] = {
        "mails": [hashlib.sha256(one.path.read_bytes()).hexdigest() for one in got.patches],
        "below": [
            one.files for one in series.load("HEAD", SeriesRequest(tree=kernel / "fs")).patches
        ],
        "branch": [one.subject for one in series.load("main", SeriesRequest(tree=kernel)).patches],
        "subjects": ranges.subjects(kernel, git.run(kernel, "rev-list", "HEAD").stdout.split()),
        "commit": ranges.read_commit(kernel, "HEAD~1"),
        "files": ranges.files(kernel, git.run(kernel, "rev-list", "HEAD").stdout.split()),
        "base": base.choose(kernel, got, "HEAD"),
        "ids": base._patch_ids(kernel, start.commit),
    }
    head = Source(kernel, git.line(kernel, "rev-parse", "HEAD"), "HEAD")
    text = "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -20 +20 @@\n-\tline of twenty letters \n+x\n"
    found["removed"] = diagnose.changed_by(head, text.encode(), Refusal("fs/x.c", 1, ""))
    text = text.replace("x.c", "ü.c").replace("twenty letters ", "twenty more letters")
    refusal = Refusal("fs/ü.c", 1, "")
    found["removed under another name"] = diagnose.changed_by(head, text.encode(), refusal)
    with tree.slot(start, QUIET) as slot:
        checkout = slot.patched(got)
        slot.check_out(checkout)
        some = [CompilerWarning("fs/ü.c", 3, "old"), CompilerWarning("fs/big.c", 3, "of the last")]
        found["warnings"] = output.with_patches(some, checkout)
        found["checkout"] = dataclasses.replace(checkout, path=Path())
        try:
            slot.patched(series.load(lost))
        except NotApplied as error:
            found["conflict"] = (error.what, error.details, error.because)
    return found


def test_configuration_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = grown(smalltree.kernel(tmp_path / "linux"), tmp_path)
    other = smalltree.kernel(tmp_path / "other")
    smalltree.replace(other, "fs/x.c", "line 5\n", "line that nobody else has\n")
    smalltree.commit(other, "fs: elsewhere")
    git.run(other, "tag", "elsewhere")
    smalltree.replace(other, "fs/x.c", "line that nobody else has\n", "line five\n")
    smalltree.commit(other, "fs: conflict")
    lost = smalltree.patches(other, tmp_path / "lost", "elsewhere")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "calm"))
    calm = findings(kernel, lost)
    assert [one.patch for one in calm["warnings"]] == ["fs: another name", "fs: without twenty"]
    assert "fs: without twenty" in calm["removed"]
    touched = hostile(kernel, tmp_path, monkeypatch)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "hostile"))
    for what, found in findings(kernel, lost).items():
        assert str(found).replace("/hostile/", "/calm/") == str(calm[what]), what
    assert not touched.exists(), touched.read_text()


def test_foreign_git_variables_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_OF_TOMORROW", "GIT_TRACE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("GIT_EXEC_PATH", "/opt/git")
    found = git.environment()
    assert {found[name] for name in ("GIT_DIR", "GIT_OF_TOMORROW", "GIT_TRACE")} == {None}
    assert "GIT_EXEC_PATH" not in found
    assert git.environment({"GIT_DIR": "here"})["GIT_DIR"] == "here"
    assert os.environ["GIT_DIR"] == "/nowhere"


def test_questions_that_git_answers(tmp_path: Path) -> None:
    kernel = smalltree.kernel(tmp_path / "linux")
    first = git.commit_of(kernel, "HEAD")
    git.run(kernel, "checkout", "--quiet", "-b", "side")
    smalltree.write(kernel, "fs/new.c", "new\n")
    side = smalltree.commit(kernel, "fs: new")
    git.run(kernel, "checkout", "--quiet", "--orphan", "other")
    smalltree.commit(kernel, "another history")
    assert (git.commit_of(kernel, "side"), git.commit_of(kernel, "nowhere")) == (side, "")
    assert git.commit_of(kernel, "") == git.commit_of(kernel, "side^{tree}") == ""
    assert git.object_of(kernel, "side^{tree}") == git.line(
        kernel, "show", "-s", "--format=%T", side
    )
    assert git.merge_base(kernel, side, first) == first
    assert git.merge_base(kernel, side, "other") == ""
    assert git.is_ancestor(kernel, first, side)
    assert not git.is_ancestor(kernel, side, first)
    assert git.content(kernel, side, "fs/new.c") == "new\n"
    assert git.content(kernel, first, "fs/new.c") is None
    assert git.top_of(kernel / "fs") == kernel.resolve()
    assert git.top_of(tmp_path) is None
