"""Texts that somebody else chose: what a terminal, a CI log, a page, a spreadsheet or Markdown acts
upon, and what no text should be."""

from random import Random

SHA = "0123456789abcdef0123456789abcdef01234567"

TERMINAL = [
    "\x1b]0;owned\x07title",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[Hcleared",
    "\x9b31mred",
    "over\rwritten",
    "back\x08\x08space",
    "bell\x07",
    "nul\x00byte",
    "delete\x7f",
    "\u202eright to left",
    "\u2066isolated\u2069",
    "\u200fmark",
    "\x85next line",
    "\u2028separator\u2029",
]
LOG = [
    "name\n::stop-commands::pause",
    "name\r\n::add-mask::0",
    "::stop-commands::pause",
    " \t::add-mask::1",
    "\x0b::add-mask::1",
    "\u2028::add-mask::1",
    "##[add-mask]1",
    "##vso[task.setvariable variable=PATH]evil",
]
PAGE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "<!--",
    "-->",
    "]]>",
    "<svg/onload=alert(1)>",
    "</title></style><iframe src=//evil.example>",
    "javascript:alert(1)",
    "url(http://evil.example)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt;&#0;&nosuch;",
    "\ufffe\uffff",
]
MARKDOWN = [
    "[x](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "www.evil.example",
    "http://evil.example/path",
    "HTTPS://evil.example",
    "ftp://evil.example",
    "mailto:x@evil.example",
    "someone@evil.example",
    "@octocat",
    "octocat/hello#1",
    "#1",
    "GH-1",
    "gh-26",
    f"commit {SHA}",
    f"octocat@{SHA}",
    "a | b | c\n| --- |",
    "`code` **bold** ~~gone~~ $x$",
    "\n\n# heading\n\n- list",
    ":smile:",
    "CVE-2024-1234",
]
SHEET = [
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "\ufeff=1+1",
    "\uff1d1+1",
    'a","b',
    "a;=1+1",
    "\x00=1",
]
MARKUP = ["[bold red]rich[/]", "[link=http://evil.example]x[/link]", "[/]", "[", "\\[x]", "%s%n{0}"]
PATHS = [
    "../VICTIM",
    "../../VICTIM",
    "../../../VICTIM",
    "/VICTIM",
    "..",
    ".",
    "a/b",
    "a\\..\\b",
    "~",
    "C:\\x",
    "con",
    "-o",
    "--help",
    "x" * 300,
    "reference",
]
ODD = [
    "",
    " ",
    "\n",
    "null",
    "nan",
    "None",
    "é" * 3,
    "e\u0301\u0301\u0301" * 10,
    "\U0001d54f" * 5,
    "\u200b",
    "\ufeff",
    "\u3164",
    "👩‍👩‍👧‍👦",
]
DATES = [
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-11-24", "20261124T080000Z"),
    *("2026-W48-2", "1e9", "2026-11-24T08:00:00", "2026-02-30T08:00:00+00:00", "now"),
]
LONG = ["x" * 20_000, "word " * 5_000, "\n".join(["line"] * 3_000), "<" * 10_000, "\u202e" * 500]

FAMILIES = [TERMINAL, LOG, PAGE, MARKDOWN, SHEET, MARKUP, PATHS, ODD, DATES, LONG]

MARKDOWN_ACTS = (
    "www.evil",
    "http://evil",
    "HTTPS://evil",
    "ftp://evil",
    "mailto:",
    "GH-1",
    "gh-26",
)
"""What GitHub makes a link of wherever it stands in a text."""


def text(rng: Random) -> str:
    """A hostile text: one of the above, now and then two of them, or any characters."""
    roll = rng.random()
    if roll < 0.7:
        return _known(rng)
    if roll < 0.9:
        return _known(rng)[:200] + _known(rng)[:200]
    ranges = ((0, 0x20), (0x20, 0x7F), (0x7F, 0xA0), (0xA0, 0x3000), (0x2000, 0x2070))
    ranges += ((0xE000, 0x110000),)
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 40)))


def _known(rng: Random) -> str:
    return rng.choice(rng.choice(FAMILIES))
