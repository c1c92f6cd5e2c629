"""Makes texts that come from data safe to show: on a terminal, in a log, on a page."""

import json
import re
import unicodedata
from typing import Any

_JOINED = r"(?<=[^\0-\x7f])[\u200c\u200d](?=[^\0-\x7f])"
"""A joiner inside an emoji of several parts, or a word of a script that has them."""

_SUSPECT = re.compile(rf"(?P<joined>{_JOINED})|[^ -~]|##(?=(?:vso)?\[)")
_COMMAND = r"#\x23"
"""`##[` and `##vso[` begin a command wherever they stand in a line of the log of GitHub Actions
(actions/runner, ActionCommand.cs) or Azure Pipelines."""


def printable(text: str, keep: str = "") -> str:
    r"""The text with an escape for each character that cannot be seen: `\x1b`, `\n`, `\u202e`.

    These are what Unicode calls controls, formats (such as marks of direction, or spaces without
    width), line separators, halves of surrogate pairs, private and unassigned characters. Letters
    of all scripts and spaces stay, and so does what `keep` names.
    """

    def shown(found: re.Match[str]) -> str:
        return found[0] if found["joined"] or found[0] in keep else _escaped(found[0])

    return _SUSPECT.sub(shown, text)


def one_line(text: str) -> str:
    """The text as `printable` gives it, with one space for each run of white space."""
    return printable(" ".join(text.split()))


def storable(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can spell and UTF-8 cannot hold."""
    return text.encode(errors="backslashreplace").decode()


def json_text(content: Any) -> str:
    """JSON of the content, indented, in ASCII. Texts stay as they are: the escapes are JSON's."""
    text = json.dumps(content, indent=2, allow_nan=False)
    return re.sub(r"#(?=(?:vso)?\[)|\x7f", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _escaped(found: str) -> str:
    if found == "##":
        return _COMMAND
    if found.isprintable() or unicodedata.category(found) == "Zs":
        return found
    return found.encode("unicode_escape").decode()
