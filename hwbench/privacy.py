"""Takes out of texts what names a person or a place, or is a secret, before they are stored.

Results are shown to others. A path keeps its last part: `/home/jane/model.json` is `…/model.json`.
"""

import os
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_IN_A_PATH = r"""[^\s:;,'"|<>()\[\]{}=]"""
_PATH = re.compile(
    rf"""
    (?<![\w~])~[\w.-]*[\\/]{_IN_A_PATH}*    # of a home folder
    | (?:
        (?<!\w)[A-Za-z]:[\\/]             # of Windows
        | \\\\                            # of a Windows server
        | (?<![\w.…)\]}}/~:])/+(?!\w+>)    # no relative path, no end of a tag, no https:
        | (?<=:)/(?!/)
        | (?<=file:)/+
        | (?<=-[A-Z])/                    # as in -I/usr/include
    ){_IN_A_PATH}+
    """,
    re.VERBOSE,
)
"""A path from a root on. A relative one names no place, and may be a name, as gpt/train is."""

_OF_PERSONS = ("home", "users")
"""Folders whose entries are named for persons."""

_LOGIN = re.compile(r"(?<=://)[^\s/@]+@")
"""The name and the password in an address."""

_SECRET_NAME = re.compile(
    r"(?i:(?<![a-z])(?:token(?!s)|secret|passw|pwd|passphrase|credential|auth(?!or)|api[-_]?key"
    r"|(?:private|access|secret)[-_]?key)[\w-]*)"
)
_ASSIGNED = re.compile(rf"({_SECRET_NAME.pattern}[ ]*[=:][ ]*)\S+")
_KNOWN_SECRET = re.compile(
    r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|ASIA)[\w-]{8,}"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
"""Tokens of Hugging Face, GitHub, GitLab, OpenAI, Slack and AWS, and JSON web tokens, by how they
begin."""

_LONG_WORD = re.compile(
    r"(?<![\w-])(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[\w-]{24,}|(?<![\w.+-])[\w.+-]+@[\w.-]+"
)
"""What no setting of a library looks like: a key, the identity of a device, an address. It begins
where a word does: tried at each letter, it would take hours for a long one."""

_LONGEST_VALUE = 200


def without_places(text: str) -> str:
    """The text with each path from a root on cut to its last part, and no login in an address."""
    home = os.path.expanduser("~")
    if len(home) > 1:  # its name may have spaces
        text = re.sub(rf"{re.escape(home)}(?=[\\/][\w.])", "~", text)
        text = re.sub(rf"{re.escape(home)}(?![\w.])", "…", text)
    return _LOGIN.sub("…@", _PATH.sub(lambda path: _last_part(path[0]), text))


def without_secrets(words: Iterable[str]) -> list[str]:
    """The words of a command line without the places and secrets in them: what follows an option
    such as `--token`, or is assigned to such a name, or begins as known tokens do."""
    cleaned = []
    is_secret = False
    for word in words:
        shown = _KNOWN_SECRET.sub("…", _ASSIGNED.sub(r"\1…", without_places(word)))
        cleaned.append("…" if is_secret and not word.startswith("-") else shown)
        is_secret = word.startswith("-") and "=" not in word and bool(_SECRET_NAME.search(word))
    return cleaned


def setting(text: str) -> str:
    """The value of a setting of a library without places, secrets and identities."""
    (shown,) = without_secrets([text])
    shown = _LONG_WORD.sub("…", shown)
    return shown if len(shown) <= _LONGEST_VALUE else shown[:_LONGEST_VALUE] + "…"


def _last_part(path: str) -> str:
    """A path's last part behind a mark; the mark alone for a root or the folder of a person."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    person = os.path.basename(os.path.expanduser("~"))
    above = parts[-2].lower() if len(parts) > 1 else ""
    if len(parts) < 2 or above in _OF_PERSONS or parts[-1] == person or parts[-1].startswith("~"):
        return "…"
    return f"…/{parts[-1]}"
