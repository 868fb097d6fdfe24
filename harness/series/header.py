# SPDX-License-Identifier: GPL-2.0-only
"""Decode the header of a mail, even if it is malformed, and parse the subject line.

b4 parses subjects too (``b4.LoreSubject``).  It does not know a number or version without a blank
before it ([PATCH1/2], [PATCH 0/2v2], [PATCH-v3]), v2.1, 3.5/7, 3/n, 2 of 3, subjects that lack a
bracket, numbers and versions behind the title ([ver #2]), nor "Re:" behind the name of a list; and
it takes v5.4 for neither.  A test compares both.
"""

from __future__ import annotations

import codecs
import dataclasses
import email.errors
import email.header
import email.message
import re
from unicodedata import category

# A number [PATCH 2/5], also 2 of 5, 3.5/7 or 3a/7 for a patch in between, and 6/n.
_NUMBER = re.compile(
    r"(?<![\w/.])(\d{1,4})(?:\.(\d)|([a-z]))?\s?(?:[/\\]|of)\s?(\d{1,4}|[nx?]+)(?![\w/.])",
    re.IGNORECASE,
)
# v2, version 2, take 2, and v2.1 as git format-patch writes it, or v2a; v4.9 and above are kernel
# versions, and v850 was a processor.
_VERSION = re.compile(
    r"(?:(?<![\w.-])|(?<=PATCH[-_.])|(?<=RFC[-_.])|(?<=[\s,]-))"
    r"(?:v\.?|ver\.?|version|rev\.?|take|try|round)\s?#?"
    r"(?:([1-3])\.(\d)|(\d{1,2})([abc])?)(?!\w|\.\d)",
    re.IGNORECASE,
)
# Behind the title: [ver #2] for any mail; (v2) and ", v2" in a numbered patch more often belong to
# what is patched.
_VERSION_BEHIND = re.compile(r"\[(?:v|ver\.?|version|take|try)\s?#?(\d{1,2})\]$", re.IGNORECASE)
_VERSION_IN_TITLE = re.compile(
    r"(?:\((?:v|ver\.?|version|take|try)\s?#?(?=\d+\)$)|(?:,\s?-?|\s-\s?)v(?=\d+$))(\d{1,2})",
    re.IGNORECASE,
)
# In a cover letter without a tag; but cgroup v2 is no version.
_VERSION_AT_END = re.compile(
    r"(?<!cgroup)(?<!cgroups)(?<!api)(?<!abi)(?<!nfs)\sv([2-9]|\d\d)$", re.IGNORECASE
)
_NUMBER_BEHIND = re.compile(r"\s[\[(](\d{1,3})\s?(?:/|of)\s?(\d{1,3})[\])]$")
_NAMES_SERIES = re.compile(r"\bPATCH[ -]?(?:SET|SERIES|BOMB)\b", re.IGNORECASE)
_RESENT = re.compile(r"\bre-?(?:sen[dt]|post(?:ed)?)", re.IGNORECASE)
_GLUED = (  # [PATCHv2], [RFC_1/2], [net-nextv2], [PATCH 0/2v2], [PATCH v21/2]
    (re.compile(r"(PATCH|RFC|RESEND)_?(?=v?\d)|(?<=-next)(?=v\d)", re.IGNORECASE), r"\1 "),
    (re.compile(r"(\d/\d{1,4})(?=v\d)", re.IGNORECASE), r"\1 "),
    (re.compile(r"\b(v\d)_?(?=\d{1,3}/\d)", re.IGNORECASE), r"\1 "),
)
# "Re:" in many languages.  The second kind are also words that begin a title, unless a tag follows.
_REPLY = re.compile(
    r"(?:re|aw|sv|antw|antwort|fwd?|forwarded|wg|回复|答复|回覆|转发|轉寄|返信|転送|회신|전달)"
    r"\s*(?:\[\d+\]|\(\d+\)|\^\d+)?\s*[:\uff1a]\s*"
    r"|(?:(?:vs|odp|rif|r[ée]p?|vb|vl|vá|tr|rv|enc|res|ynt|ilt|doorst|bls|atb|ot\w*)"
    r"\s*[:\uff1a]\s*)+(?=\[|re:)",
    re.IGNORECASE,
)
# What filters for spam and other gateways put before a subject.
_FILLER = re.compile(
    r"subject:\s*|\*+[^*]{1,20}\*+:?\s*|(?:spam|ext|external)\s*:\s*(?=\[|re\b)"
    r"|[({](?!\W*(?:rfc\W*)?patch)[^(){}\[\]]{1,20}[)}]\s*(?=\[|re\b)",
    re.IGNORECASE,
)
_OWN_LEAD = re.compile(r"(re-?(?:sen[dt]|post(?:ed)?)|rfc)\s*:?\s*(?=\[)", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\[\](){}:\uff1a]{1,16}[:\uff1a]?\s*(?=\[[^\]]*patch)", re.IGNORECASE)
_BARE_TAG = re.compile(  # PATCH v2 1/3: title, PATCH [1/3] title; and with only one bracket
    r"\[?((?:RFC[\s,]+)?PATCH\b(?:[\s,]*(?:[vV]\d+|\d+/\d+|RFC|RESEND))*)\s*[:\]]\s*"
    r"|\[((?:RFC[\s,]+)?PATCH(?:[\s,]*(?:[vV]\d+|\d+/\d+))+)\s+(?=[^\]]*$)"
    r"|((?:RFC[\s,]+)?(?:PATCH|Patch|patch)[^\[\]:]{0,40})\]\s*"
    r"|(RFC[\s,]+(?:v\d+[\s,]+)?\d+/\d+):\s*|(PATCH)\s+(?=\[\d)"
)
_AFTER_TAG = re.compile(
    r"(v\d{1,2}|\d{1,3}/\d{1,3})\s*(?:[:,-]\s*|(?<=\d)\s+)|\((v\d{1,2}|\d{1,3}/\d{1,3})\)\s*",
    re.IGNORECASE,
)
# What is not the name of a tree or project in a tag; kernels: 6.1.y, and AUTOSEL 6.17-5.4.
_COUNTS = re.compile(rf"{_NUMBER.pattern}|{_VERSION.pattern}", re.IGNORECASE)
_KERNEL = re.compile(r"(?<![\w.-])v?\d+\.\d[\w.-]*", re.IGNORECASE)
_OWN_WORDS = re.compile(
    rf"{_COUNTS.pattern}|\b(?:PATCH|RFC|RE-?\w+)\b|[^\w.-]|{_KERNEL.pattern}", re.IGNORECASE
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
# What an input method for Chinese types for [ and ].
_WIDE_BRACKETS = str.maketrans("\u3010\u3011\uff3b\uff3d", "[][]")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A subject: ``number`` of ``total`` as written, both 0 if absent; ``title`` has no tags.

    ``version`` and ``minor`` are 2 and 1 for v2.1; ``version`` is 0 if none is written.
    ``between`` is "5" for 3.5/7; ``unlimited``: the total is a letter, as in 3/n.  ``tagged``: a
    tag contains PATCH or a number, unlike in most other mails of an archive.  ``foreign``: a word
    that may mean "Re:" in another language precedes the tags.  ``names_series``: a tag says
    PATCHSET, so that without a diff this is a series' cover letter, perhaps numbered among several.
    ``rfc``, ``resent`` and ``pull``: a tag says so; ``kernel`` is the release or branch that a tag
    names, such as 6.1.y, ``prefix`` what else the tags say, such as net-next.
    """

    title: str
    number: int = 0
    total: int = 0
    version: int = 0
    minor: int = 0
    between: str = ""
    unlimited: bool = False
    reply: bool = False
    foreign: bool = False
    tagged: bool = False
    names_series: bool = False
    rfc: bool = False
    resent: bool = False
    pull: bool = False
    kernel: str = ""
    prefix: str = ""

    @property
    def is_cover(self) -> bool:
        """Whether the mail is numbered 0: a cover letter, never a patch."""
        return self.total > 0 and self.number == 0

    @property
    def slot(self) -> tuple[int, str]:
        """The place in the series; orders its mails."""
        return self.number, self.between


def parse_subject(text: str) -> Subject:
    """Parse a decoded subject line, such as ``[PATCH v2 3/8] title``."""
    tags, title, reply, foreign = _split(" ".join(text.translate(_WIDE_BRACKETS).split()))
    for glued, apart in _GLUED:
        tags = [glued.sub(apart, tag) for tag in tags]
    patch = any("PATCH" in tag.upper() for tag in tags)
    behind = _NUMBER_BEHIND.search(title) if patch else None
    if behind and not any(map(_NUMBER.search, tags)) and int(behind[1]) <= int(behind[2]):
        tags, title = [*tags, f"{behind[1]}/{behind[2]}"], title[: behind.start()]
    number = next(filter(None, map(_NUMBER.search, tags)), None)
    version = next(filter(None, map(_VERSION.search, tags)), None)
    in_title = _VERSION_BEHIND.search(title)
    if not in_title and not (number and int(number[1])):
        in_title = _VERSION_IN_TITLE.search(title)
    if version:
        major, minor = int(version[1] or version[3]), int(version[2] or bool(version[4]))
    else:
        major, minor = int(in_title[1] if in_title else 0), 0
    limit = number[4] if number else "0"
    unlimited = not limit.isdigit()
    return Subject(
        title=title or text,
        number=int(number[1]) if number else 0,
        total=max(int(number[1]), 1) if number and unlimited else int(limit),
        version=major,
        minor=minor,
        between=(number[2] or number[3] or "").lower() if number else "",
        unlimited=unlimited,
        reply=reply,
        foreign=foreign,
        tagged=bool(number) or patch,
        names_series=any(map(_NAMES_SERIES.search, tags)),
        rfc=any(re.search(r"\bRFC", tag, re.IGNORECASE) for tag in tags),
        resent=any(map(_RESENT.search, tags)),
        kernel=" ".join(_KERNEL.findall(_COUNTS.sub(" ", " ".join(tags)))),
        prefix=" ".join(_OWN_WORDS.sub(" ", " ".join(tags)).lower().split()).strip(" -"),
        pull=not number and any(re.search(r"\bPULL\b", tag, re.IGNORECASE) for tag in tags),
    )


def written_by_hand(subject: Subject) -> Subject:
    """Return the subject of a cover letter; one without a tag may end with a version, " v3"."""
    version = _VERSION_AT_END.search(subject.title)
    if version is None or subject.tagged or subject.rfc or subject.version:
        return subject
    title = subject.title[: version.start()]
    return dataclasses.replace(subject, title=title, version=int(version[1]))


def _split(text: str) -> tuple[list[str], str, bool, bool]:
    """Return the leading tags, the title, and whether "Re:" or a foreign word precedes it.

    Only leading tags count: brackets further right belong to the title.  Mailing lists and mailers
    put their own words before and between the tags.
    """
    tags: list[str] = []
    reply = foreign = False
    while text:
        if match := _REPLY.match(text):
            reply = True
        elif match := _FILLER.match(text):
            pass
        elif tag := _bracketed(text):
            tags.append(tag[1:-1])
            text = text[len(tag) :].lstrip(" :")
            continue
        elif match := _BARE_TAG.match(text) or (None if tags else _OWN_LEAD.match(text)):
            tags.append(next(filter(None, match.groups())))
        elif any("PATCH" in tag.upper() for tag in tags) and (match := _AFTER_TAG.match(text)):
            tags.append(match[1] or match[2])
        elif not tags and (match := _FOREIGN.match(text)):
            foreign = True
        else:
            break
        text = text[match.end() :]
    return tags, text, reply, foreign


def _bracketed(text: str) -> str:
    """Return the tag at the start of ``text``, with its brackets; tags may be nested.

    Round and curly brackets only count if they contain PATCH.
    """
    if text[0] not in _CLOSING:
        return ""
    depth = 0
    for end, char in enumerate(text, 1):
        depth += (char == text[0]) - (char == _CLOSING[text[0]])
        if not depth:
            tag = text[:end]
            return tag if tag[0] == "[" or re.match(r".\s*(?:RFC\W*)?PATCH\b", tag, re.I) else ""
    return ""


def decoded(raw: bytes, charset: str | None = None) -> str:
    """Decode bytes whose declared ``charset`` may be missing or wrong.

    Valid UTF-8 that is not ASCII is decoded as UTF-8: a wrong declaration is more likely than text
    in another encoding that happens to be valid UTF-8.
    """
    for name in ("utf-8" if not raw.isascii() else None, charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (ValueError, LookupError):  # a name may hold any characters, even NUL
            continue
    return raw.decode("latin-1")


def text_of(message: email.message.Message, name: str) -> str:
    """Return a header's decoded value; empty if the mail does not have it."""
    value = message[name]
    if value is None:
        return ""
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):  # a damaged encoded word
        parts = [(str(value), None)]
    # decode_header returns bytes for encoded words, and strings for other headers.
    text = "".join(
        decoded(part, charset if charset != "unknown-8bit" else None)
        if isinstance(part, bytes)
        else decoded(part.encode("utf-8", "surrogateescape"))
        for part, charset in parts
    )
    # Remove control characters, which could change the user's terminal.
    return "".join(char for char in text if char in "\t\r\n" or category(char) != "Cc").strip()


def git_can_decode(message: email.message.Message) -> bool:
    """Return whether git knows all encodings in the header, which git am requires."""
    values = [str(message.get(name, "")) for name in ("From", "Subject")]
    try:
        charsets = {charset for value in values for _, charset in email.header.decode_header(value)}
    except (email.errors.HeaderParseError, ValueError):
        return False
    charsets |= {part.get_content_charset() for part in message.walk()}
    return all(map(_is_known, filter(None, charsets))) and "\0" not in "".join(values)


def _is_known(charset: str) -> bool:
    try:
        return bool(codecs.lookup(charset))
    except (LookupError, ValueError):
        return charset == "unknown-8bit"  # Python's name for raw bytes in a header


def subject_of(message: email.message.Message) -> str:
    """Return the subject as one line."""
    return " ".join(text_of(message, "Subject").split())


def message_id(message: email.message.Message) -> str:
    """Return the mail's message id without angle brackets."""
    value = text_of(message, "Message-ID")
    match = re.search(r"<([^<>\s]+)>", value)
    return match[1] if match else value.strip()
