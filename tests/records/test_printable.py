"""What is shown of texts that come from data."""

import pytest

from hwbench.printable import one_line, printable, storable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("a\r\n::stop-commands::x\t", r"a\r\n::stop-commands::x\t"),
        ("line\u2028paragraph\u2029\x85", r"line\u2028paragraph\u2029\x85"),
        ("\u202e\u2066\u200f\u061c", r"\u202e\u2066\u200f\u061c"),
        ("a\u200bb\u200dc\ufeff\u00ad", r"a\u200bb\u200dc\ufeff\xad"),
        ("\U000e0041\ue000\ufffe\udcff", r"\U000e0041\ue000\ufffe\udcff"),
        ("a ##[add-mask]b ##vso[task.x]", r"a #\x23[add-mask]b #\x23vso[task.x]"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4.58 µs ±1 % × 2 – …",
        "é e\u0301 漢字 עברית",
        "👍⚠️ 👩\u200d💻",
        "a\u00a0b\u3000c",
        "std::x",
        "## 1",
    ],
)
def test_letters_of_all_scripts_and_spaces_stay(text):
    assert printable(text) == text


def test_newlines_of_our_own_may_stay():
    assert printable("a\n\x1bb\n", keep="\n") == "a\n\\x1bb\n"


def test_white_space_becomes_one_space():
    assert one_line(" a\n\n::b\u2028\tc\x1b ") == r"a ::b c\x1b"


def test_halves_of_surrogate_pairs_cannot_be_stored():
    assert storable("a\udcff\x1bé") == "a\\udcff\x1bé"
