# SPDX-License-Identifier: GPL-2.0-only
"""What a mail about a run says: plain text, 72 columns, the verdict first."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import harness
from harness.model import ChangeKind, Outcome, Run, Splat, Verdict
from harness.publish import command, sentences
from harness.text import one_line

WIDTH = 72
_FILLED = WIDTH - 1  # a column is for what keeps a line harmless
SHOWN = 8  # failures that are told in full
LISTED = 12  # names in a list
SPLAT = 20  # lines of a splat

_TRAILER = re.compile(
    r"^(\s*(?:\w\S*(?:-by|(?=:\s.*@))|cc|fixes|link|buglink|closes|subject|date|change-id"
    r"|base-commit)):(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_SEPARATOR = re.compile(r"^(?:From |-- ?$|---|diff --git)", re.MULTILINE)


def write(run: Run, tested_by: str = "") -> str:
    """Write the mail's text.

    ``tested_by`` ("Name <mail>") becomes a trailer; whether that is deserved the caller asks
    ``deserved``.
    """
    blocks = [
        "Hi,",
        _wrap(_opening(run)),
        _wrap(f"{run.verdict.upper()}.  {sentences.verdict(run)}"),
        "\n".join(_kernels(run)),
        "\n".join(_about(run)),
        *_sections(run),
        "\n".join(_again(run)),
    ]
    text = "\n\n".join(block for block in blocks if block)
    end = [f"Tested-by: {tested_by}"] if tested_by else []
    return "\n\n".join((_harmless(text), *end, f"-- \nharness {harness.__version__}\n"))


def _harmless(text: str) -> str:
    """See that no line but our own is taken for a trailer: b4 finds them anywhere in a reply.

    A title or a guest's words may hold one, and the breaking of lines bring it to the front.
    """
    return _SEPARATOR.sub(r" \g<0>", _TRAILER.sub(r"\1 :", text))


def deserved(run: Run) -> str:
    """Say why a run gives no right to a Tested-by, in a few words; empty when it does."""
    if run.series is None:
        return "no series was tested"
    if run.interrupted or not run.sides:
        return "the run was interrupted"
    if run.verdict is not Verdict.GOOD:
        return f"the verdict is {run.verdict}"
    if run.judged.left:
        return sentences.left(run.judged).removesuffix(".")
    flaky = {test.id for test in run.judged.tests if test.outcome is Outcome.FLAKY}
    flaky |= {one.test for one in run.changes if one.kind is ChangeKind.FLAKY and one.patched.bad}
    if flaky:
        return f"of the tests {len(flaky)} {'is' if len(flaky) == 1 else 'are'} flaky"
    return "" if any(t.outcome == "pass" for t in run.judged.tests) else "no test passed"


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
        lead = f"  {side.side:<9}"
        text = one_line(side.error) if side.error else sentences.tally(side.tests)
        yield _wrap(f"{lead} {text}", " " * 12)


def _about(run: Run) -> Iterator[str]:
    """Say what was tested on what."""
    yield "What was tested:"
    if run.series is not None:
        yield _item("series", sentences.title(run))
        yield from ([_item("id", run.series.cover_id)] if run.series.cover_id else [])
    yield _item("base", f"{one_line(run.source.name)}, {run.source.commit[:12]}")
    if run.sides:
        kernel = run.judged.kernel
        yield _item("kernel", f"{kernel.release} {kernel.arch}, {_warnings(run)}")
    if run.series is not None and run.series.kconfig:
        yield _item("config", " ".join(run.series.kconfig))
    known = dict(run.about)
    yield _item("guests", f"QEMU {one_line(known.get('QEMU', ''))} ({run.accel})")
    yield _item("date", one_line(run.started))


def _warnings(run: Run) -> str:
    many = len(run.judged.kernel.warnings)
    return sentences.number(many, "compiler warning") if many else "no compiler warning"


def _item(name: str, value: str) -> str:
    # Without a colon, or an id would look like a trailer.
    return _wrap(f"  {name:<9} {one_line(value)}", " " * 12)


def _sections(run: Run) -> Iterator[str]:
    if not run.sides:
        return
    if run.judged.boot_splats:
        shown = [line for one in run.judged.boot_splats[:SHOWN] for line in _splat(one)]
        yield "\n".join(["While it boots:", *shown])
    if run.warnings:
        places = (f"{one.file}:{one.line}: {one.text}" for one in run.warnings[:SHOWN])
        lines = [_fold(f"  {one_line(place, 400)}") for place in places]
        yield "\n".join([f"New compiler warnings ({len(run.warnings)}):", *lines])
    for some in sentences.failures(run):
        yield "\n".join(_failures(run, some))
    if fixed := sentences.fixed(run):
        yield "\n".join([f"Fixed by the series ({len(fixed)}):", *_some([c.test for c in fixed])])


def _failures(run: Run, some: sentences.Failures) -> Iterator[str]:
    tests = some.tests
    yield f"{some.title[0].upper()}{some.title[1:]} ({len(tests)}):"
    for test in tests[:SHOWN]:
        yield ""
        change = run.change(test.id)
        before = f"{change.base} -> " if change and change.base is not Outcome.NOTRUN else ""
        yield _name(test.id)
        said_ = one_line(test.headline, 300)
        yield _wrap(f"    {before}{test.outcome}{': ' if said_ else ''}{said_}", " " * 6)
        for splat in test.splats[:1]:
            yield from _splat(splat)
    if len(tests) > SHOWN:
        yield ""
        yield "More of them:"
        yield from _some([test.id for test in tests[SHOWN:]])


def _splat(splat: Splat) -> Iterator[str]:
    yield ""
    for line in sentences.trimmed(splat, SPLAT):
        yield _fold(f"    {line}")
    if splat.place:
        yield _fold(f"    at {one_line(splat.place)}")
    for one in splat.patches:
        yield _wrap(f'    through lines of "{one_line(one)}"', " " * 6)


def _some(names: Sequence[str]) -> Iterator[str]:
    """List tests; many are counted by file, since single lines hide what they have in common."""
    if len(names) <= LISTED:
        yield from map(_name, names)
        return
    found = Counter(name.partition("::")[0] for name in names).most_common()
    yield from (_fold(f"  {many:4} in {one_line(file, 400)}") for file, many in found[:LISTED])
    if len(found) > LISTED:
        yield f"  and in {len(found) - LISTED} more files"


def _name(test: str) -> str:
    """Write a test's name; one that is too long is broken behind its file."""
    file, colons, name = one_line(test, 400).partition("::")
    if len(file) + len(name) + 4 <= WIDTH:
        return f"  {file}{colons}{name}"
    return "\n".join(map(_fold, (f"  {file}", f"    {colons}{name}")))


def _again(run: Run) -> Iterator[str]:
    yield "To do the same:"
    yield ""
    yield _indented(command.shell(run, width=WIDTH - 2).splitlines())
    if some := sentences.failures(run):
        yield ""
        yield "The first of the failing tests alone:"
        yield ""
        yield _indented(command.shell(run, some[0].tests[0].id, WIDTH - 2).splitlines())


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _wrap(text: str, after: str = "") -> str:
    """Fill lines with words; ``after`` leads all but the first."""
    return textwrap.fill(
        text, _FILLED, subsequent_indent=after, break_on_hyphens=False, drop_whitespace=True
    )


def _fold(line: str) -> str:
    """Break a line that is no sentence where it must be; the rest stands deeper."""
    return _wrap(line, " " * (len(line) - len(line.lstrip()) + 2))
