# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of the verbs for series: series, fetch."""

from __future__ import annotations

from harness.cli.parser import Commands, add_options, add_verb

SERIES = """\
Show a series as the harness reads it: cover letter, patches in order, version, and
which patches are missing or duplicated.  SERIES is a folder of patches (a quilt
`series` file gives their order), files, an mbox of any size, a maildir, - for standard
input, A..B or a branch of a git tree, a message id or link of a mail archive (through
b4: its thread, with trailers and attestation), or a link to an mbox.  Only
message ids and links reach the network.

Exit code 0 when the series is complete, 125 when patches are missing or duplicates differ."""

SERIES_EXAMPLES = """\
examples:
  harness series patches/configfs-ns
  harness series thread.mbox --json
  harness series archive.mbox --pick 'switch to get_tree_keyed'
  harness series v6.19..my-branch --tree ~/linux
  harness series 20260101120000.1234-1-someone@example.org

JSON:
  {"name", "version", "total", "cover": {"subject", "message_id"} or null,
   "patches": [{"number", "subject", "author", "message_id"}],
   "missing": [number], "duplicates": [number]}
"""

FETCH = """\
Store a series in patches/NAME: each patch as a plain mail for `git am`, with the cover
letter and a series.toml.  SERIES is as in `harness series`; a message id or link is
fetched from its archive, through b4.  Existing files are never overwritten."""

FETCH_EXAMPLES = """\
examples:
  harness fetch 20260101120000.1234-1-someone@example.org
  harness fetch thread.mbox --name configfs-ns --trailers
  harness fetch v6.19..my-branch --tree ~/linux
"""


def series(commands: Commands) -> None:
    """Add `harness series`."""
    parser = add_verb(commands, "series", SERIES, SERIES_EXAMPLES)
    parser.add_argument(
        "words", nargs="*", metavar="SERIES", help="see above; may be several files"
    )
    add_options(parser, "series")


def fetch(commands: Commands) -> None:
    """Add `harness fetch`."""
    parser = add_verb(commands, "fetch", FETCH, FETCH_EXAMPLES)
    parser.add_argument("words", nargs="+", metavar="SERIES", help="as in harness series")
    parser.add_argument(
        "--name", default="", metavar="SLUG", help="the folder's name (default: from the title)"
    )
    parser.add_argument(
        "--trailers", action="store_true", help="add trailers from replies, such as Reviewed-by"
    )
    add_options(parser, "fetch")
