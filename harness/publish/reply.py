# SPDX-License-Identifier: GPL-2.0-only
"""A mail about a run: a reply to the cover letter, for git send-email, mutt or b4.

Plain text, 72 columns, the verdict first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import email
import email.errors
import email.header
import email.message
import email.policy
import email.utils
import hashlib
import re
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.headerregistry import Address
from pathlib import Path

import harness
from harness import git, process
from harness.errors import UsageError
from harness.model import ChangeKind, FailureGroup, Outcome, Run, Source, Splat, Verdict
from harness.publish import reproduce, sentences
from harness.results import evidence
from harness.text import one_line, quantity

WIDTH = 72
SHOWN = 8  # maximum number of failures shown with details
LISTED = 12  # maximum number of names in a list
SPLAT = 20  # maximum number of lines of a splat

_FILLED = WIDTH - 1  # leaves one column for the space that is inserted into a match of _TRAILER
_TRAILER = re.compile(
    r"^(\s*(?:\w\S*(?:-by|(?=:\s.*@))|cc|fixes|link|buglink|closes|subject|date|change-id"
    r"|base-commit)):(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_SEPARATOR = re.compile(r"^(?:From |-- ?$|---|diff --git)", re.MULTILINE)
_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_ADDRESS = re.compile(r"[\w.+=/*'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
_NOWHERE = "kernel-harness.invalid"  # RFC 2606: never a real host name
_HEADER = 16384  # maximum number of characters of a header
_REFERENCES = 20  # maximum number of mails in References

_MAINTAINER = "scripts/get_maintainer.pl"
_MAINTAINER_READS = (_MAINTAINER, "MAINTAINERS", ".get_maintainer.ignore", ".mailmap")
# get_maintainer.pl recognises the top of a kernel tree by these files.
_TREE = ("COPYING", "CREDITS", "Kbuild", "README", "Makefile")
_FOLDERS = (
    *("Documentation", "arch", "include", "drivers", "fs", "init", "ipc", "kernel", "lib"),
    "scripts",
)
_PLAIN = ("--no-git", "--no-git-fallback", "--no-rolestats", "--no-roles")
_TIMEOUT = 120.0  # seconds

Lines = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RepliedThread:
    """The mail that is replied to; ids include the angle brackets, and are empty if unknown."""

    id: str = ""
    references: Lines = ()
    subject: str = ""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()


def person(text: str) -> Address:
    """Parse "Name <mail>".  Raises UsageError for anything else."""
    addresses = list(_addresses([text]))
    if len(addresses) != 1 or not addresses[0].display_name:
        raise UsageError(
            f"'{one_line(text)}' is not a name with an email address",
            hint="--tested-by 'Jane Doe <jane@example.org>'",
        )
    return addresses[0]


def compose(
    run: Run, maintainers: Callable[[], tuple[Lines, Lines]], tested_by: Address | None = None
) -> bytes:
    """Return the mail.

    ``maintainers`` returns (To, Cc), and is only called if the thread has no Cc.  ``tested_by`` is
    the sender; the trailer is only added if the run justifies it.
    """
    thread = thread_of(run)
    to, cc = (thread.to, thread.cc)
    if not cc:
        more_to, cc = (tuple(_addresses(lines)) for lines in maintainers())
        to = to or more_to
        cc = (*(address for address in more_to if address not in to), *cc)
    body = text(run, str(tested_by) if tested_by and not no_tested_by(run) else "")
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(linesep="\n"))
    if tested_by:
        message["From"] = tested_by
    sender = {tested_by.addr_spec.lower()} if tested_by else set()
    to = _unique(to, sender)
    cc = _unique(cc, sender | {address.addr_spec.lower() for address in to})
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    reply = f"Re: {thread.subject}" if thread.subject else ""
    message["Subject"] = reply or f"test: {sentences.title(run)}"
    message["Date"] = datetime.datetime.now(datetime.UTC)
    domain = tested_by.domain if tested_by else _NOWHERE
    digest = hashlib.sha256(f"{run.started} {run.seconds!r} {body}".encode(errors="replace"))
    message["Message-ID"] = f"<harness-{digest.hexdigest()[:24]}@{domain}>"
    if thread.id:
        message["In-Reply-To"] = thread.id
        message["References"] = " ".join((*thread.references, thread.id))
    charset, encoding = ("us-ascii", "7bit") if body.isascii() else ("utf-8", "8bit")
    message.set_content(body, charset=charset, cte=encoding)
    return message.as_bytes()


def thread_of(run: Run) -> RepliedThread:
    """Read the headers of the cover letter, or of the first patch if there is none."""
    series = run.series
    if series is None:
        return RepliedThread()
    first = series.patches[0]
    file = evidence.patch_file(run.folder, first)
    if series.cover:
        kept = run.folder / evidence.COVER
        file = kept if kept.is_file() else series.cover
    if file.is_file():
        return _thread(file)
    message_id = f"<{series.cover_id or first.message_id}>"
    subject = one_line(series.cover_subject or series.title)
    return RepliedThread(message_id if _ID.fullmatch(message_id) else "", (), subject)


def _thread(file: Path) -> RepliedThread:
    # Parse text, because from bytes, email would mark raw header bytes as an unknown charset.
    message = email.message_from_string(file.read_bytes().decode("utf-8", "replace"))
    match = _ID.search(_header(message, "Message-ID"))
    own = match[0] if match else ""
    references = _ID.findall(_header(message, "References") or _header(message, "In-Reply-To"))
    subject = _decoded(_header(message, "Subject"))
    author = _header(message, "Reply-To") or _header(message, "From")
    return RepliedThread(
        own,
        tuple(reference for reference in references if reference != own)[-_REFERENCES:],
        re.sub(r"^(?:re:\s*)+", "", subject, flags=re.IGNORECASE),
        tuple(_addresses([author])),
        tuple(_addresses([_header(message, name) for name in ("To", "Cc")])),
    )


def _header(message: email.message.Message, name: str) -> str:
    """Return a header's values, joined into one line and not decoded."""
    return ", ".join(one_line(str(value), _HEADER) for value in message.get_all(name, []))


def _decoded(value: str) -> str:
    """Decode encoded words; a damaged one stays as it is."""
    with contextlib.suppress(ValueError, LookupError, email.errors.MessageError):
        value = str(email.header.make_header(email.header.decode_header(value)))
    return one_line(value, _HEADER)


def _addresses(values: Iterable[str]) -> Iterator[Address]:
    """Return the usable addresses; others, such as "undisclosed-recipients:;", are left out."""
    for name, address in email.utils.getaddresses(list(values)):
        if _ADDRESS.fullmatch(address) and ".." not in address:
            with contextlib.suppress(ValueError, IndexError, email.errors.MessageError):
                yield Address(_decoded(name), addr_spec=address)


def _unique(addresses: Iterable[Address], without: set[str]) -> tuple[Address, ...]:
    by_spec: dict[str, Address] = {}
    for address in addresses:
        by_spec.setdefault(address.addr_spec.lower(), address)
    return tuple(address for spec, address in by_spec.items() if spec not in without)


def ask_maintainers(source: Source, patches: Sequence[Path]) -> tuple[Lines, Lines]:
    """Get (To, Cc) from the tree's get_maintainer.pl: the maintainers; the reviewers and lists.

    Both are empty if the tree has no such script.  The script comes from the base, never from
    the series.  Raises HostFault if the script fails.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        top = Path(folder)
        for name in _MAINTAINER_READS:
            content = git.content(source.repo, source.commit, name)
            if content is not None:
                (top / name).parent.mkdir(exist_ok=True)
                (top / name).write_text(content, "utf-8", errors="surrogateescape")
        if not (patches and (top / _MAINTAINER).is_file() and (top / "MAINTAINERS").is_file()):
            return (), ()
        for name in _TREE:
            (top / name).touch()
        for name in _FOLDERS:
            (top / name).mkdir(exist_ok=True)

        def ask(*roles: str) -> Lines:
            files = [str(patch.absolute()) for patch in patches]
            words = ["perl", _MAINTAINER, *_PLAIN, *roles, *files]
            return tuple(process.run(words, cwd=top, timeout=_TIMEOUT).stdout.splitlines())

        to, cc = ask("--no-l", "--no-r"), ask("--no-m")
    return to, tuple(line for line in cc if line not in to)


def no_tested_by(run: Run) -> str:
    """Return a phrase about why a run does not justify a Tested-by; empty if it does."""
    if run.series is None:
        return "no series was tested"
    if run.interrupted or not run.sides:
        return "the run was interrupted"
    if run.verdict is not Verdict.GOOD:
        return f"the verdict is {run.verdict}"
    if run.judged.left:
        return sentences.left(run.judged).removesuffix(".")
    flaky = {test.id for test in run.judged.tests if test.outcome is Outcome.FLAKY}
    flaky |= {c.test for c in run.changes if c.kind is ChangeKind.FLAKY and c.patched.bad}
    if flaky:
        return f"{quantity(len(flaky), 'test')} {'is' if len(flaky) == 1 else 'are'} flaky"
    passed = any(test.outcome is Outcome.PASS for test in run.judged.tests)
    return "" if passed else "no test passed"


def text(run: Run, tested_by: str = "") -> str:
    """Return the text of the mail; ``tested_by`` ("Name <mail>") becomes a trailer."""
    blocks = [
        "Hi,",
        _wrap(_opening(run)),
        _wrap(f"{run.verdict.upper()}.  {sentences.verdict(run)}"),
        "\n".join(_kernels(run)),
        "\n".join(_setup(run)),
        *_findings(run),
        "\n".join(_commands(run)),
    ]
    body = "\n\n".join(block for block in blocks if block)
    # b4 finds trailers anywhere in a reply: a title or a guest's output may contain a trailer, and
    # wrapping may move it to the start of a line.
    body = _SEPARATOR.sub(r" \g<0>", _TRAILER.sub(r"\1 :", body))
    trailers = [f"Tested-by: {tested_by}"] if tested_by else []
    return "\n\n".join((body, *trailers, f"-- \nharness {harness.__version__}\n"))


def _opening(run: Run) -> str:
    origin = f" ({one_line(run.source.origin)})" if run.source.origin else ""
    base = f"{one_line(run.source.name)}{origin}"
    if run.series is None:
        return f"I built {base}, booted it in QEMU and ran tests in it."
    many = len(run.series.patches)
    patches = "the patch" if many == 1 else f"these {many} patches"
    also = " The base was tested for comparison." if run.compared else ""
    return f"I applied {patches} to {base}, built it, booted it in QEMU and ran tests in it.{also}"


def _kernels(run: Run) -> Iterator[str]:
    for side in run.sides:
        result = one_line(side.error) if side.error else sentences.tally(side.tests)
        yield _wrap(f"  {side.side:<9} {result}", " " * 12)


def _setup(run: Run) -> Iterator[str]:
    yield "What was tested:"
    if run.series is not None:
        yield _item("series", sentences.title(run))
        yield from ([_item("id", run.series.cover_id)] if run.series.cover_id else [])
    yield _item("base", f"{one_line(run.source.name)}, {run.source.commit[:12]}")
    if run.sides:
        kernel = run.judged.kernel
        many = len(kernel.warnings)
        warnings = quantity(many, "compiler warning") if many else "no compiler warning"
        yield _item("kernel", f"{kernel.release} {kernel.arch}, {warnings}")
    if run.series is not None and run.series.kconfig:
        yield _item("config", " ".join(run.series.kconfig))
    yield _item("guests", f"QEMU {one_line(dict(run.about).get('QEMU', ''))} ({run.accel})")
    yield _item("date", one_line(run.started))


def _item(name: str, value: str) -> str:
    # No colon, because an id would look like a trailer.
    return _wrap(f"  {name:<9} {one_line(value)}", " " * 12)


def _findings(run: Run) -> Iterator[str]:
    if not run.sides:
        return
    if run.judged.boot_splats:
        shown = [line for splat in run.judged.boot_splats[:SHOWN] for line in _splat(splat)]
        yield "\n".join(["While booting:", *shown])
    if run.warnings:
        lines = [_fold(f"  {one_line(w.message, 400)}") for w in run.warnings[:SHOWN]]
        yield "\n".join([f"New compiler warnings ({len(run.warnings)}):", *lines])
    if missed := list(sentences.unexecuted(run.lines, SHOWN)):
        yield "\n".join(["Lines of the series that no test executes:", *map(_missed, missed)])
    for group in run.failure_groups:
        yield "\n".join(_failures(run, group))
    if fixed := sentences.fixed(run):
        tests = _listed([change.test for change in fixed])
        yield "\n".join([f"Fixed by the series ({len(fixed)}):", *tests])


def _missed(text: str) -> str:
    return _fold(f"  {one_line(text.removeprefix('never executed: '), 400)}")


def _failures(run: Run, group: FailureGroup) -> Iterator[str]:
    yield f"{group.reason[0].upper()}{group.reason[1:]} ({len(group.tests)}):"
    for test in group.tests[:SHOWN]:
        change = run.change(test.id)
        before = f"{change.base} -> " if change and change.base is not Outcome.NOTRUN else ""
        headline = one_line(test.headline, 300)
        yield from ("", _name(test.id))
        yield _wrap(f"    {before}{test.outcome}{': ' if headline else ''}{headline}", " " * 6)
        for splat in test.splats[:1]:
            yield from _splat(splat)
    if len(group.tests) > SHOWN:
        yield from ("", "More tests:", *_listed([test.id for test in group.tests[SHOWN:]]))


def _splat(splat: Splat) -> Iterator[str]:
    yield ""
    for line in sentences.trimmed(splat, SPLAT):
        yield _fold(f"    {line}")
    if splat.place:
        yield _fold(f"    at {one_line(splat.place)}")
    for subject in splat.patches:
        yield _wrap(f'    through code changed by "{one_line(subject)}"', " " * 6)


def _listed(names: Sequence[str]) -> Iterator[str]:
    """List tests; if there are many, count them by file, to show what they have in common."""
    if len(names) <= LISTED:
        yield from map(_name, names)
        return
    files = Counter(name.partition("::")[0] for name in names).most_common()
    yield from (_fold(f"  {many:4} in {one_line(file, 400)}") for file, many in files[:LISTED])
    if len(files) > LISTED:
        yield f"  and in {len(files) - LISTED} more files"


def _name(test: str) -> str:
    """Return a test's name; a line break follows the file if the name is too long."""
    file, colons, name = one_line(test, 400).partition("::")
    if len(file) + len(name) + 4 <= WIDTH:
        return f"  {file}{colons}{name}"
    return "\n".join(map(_fold, (f"  {file}", f"    {colons}{name}")))


def _commands(run: Run) -> Iterator[str]:
    yield from ("To reproduce:", "", *_indented(reproduce.shell(run, width=WIDTH - 2)))
    for group in run.failure_groups[:1]:
        command = reproduce.shell(run, group.tests[0].id, WIDTH - 2)
        yield from ("", "The first failing test alone:", "", *_indented(command))


def _indented(command: str) -> list[str]:
    return [f"  {line}" for line in command.splitlines()]


def _wrap(line: str, indent: str = "") -> str:
    """Wrap a sentence; all lines except the first begin with ``indent``."""
    return textwrap.fill(line, _FILLED, subsequent_indent=indent, break_on_hyphens=False)


def _fold(line: str) -> str:
    """Wrap a line that is not a sentence; its continuation lines are indented further."""
    return _wrap(line, " " * (len(line) - len(line.lstrip()) + 2))
