"""Documents in other clothes: packed, in any encoding, too large, too deep, or no files at all."""

import bz2
import codecs
import gzip
import json
import lzma
import os

import pytest

from hwbench import documents, files
from hwbench.documents import read_json, read_toml
from hwbench.errors import UserError

CONTENT = {"name": "Größe", "sizes": [1, 2]}
JSON = json.dumps(CONTENT, ensure_ascii=False)
TOML = 'name = "Größe"\nsizes = [1, 2]\n'
ENCODINGS = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-8 with two marks": lambda text: codecs.BOM_UTF8 + text.encode("utf-8-sig"),
    "UTF-16 with a mark": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 from the other end": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32 with a mark": lambda text: text.encode("utf-32"),
    "UTF-32 without a mark": lambda text: text.encode("utf-32-be"),
    "packed": lambda text: gzip.compress(text.encode()),
    "packed UTF-16": lambda text: gzip.compress(text.encode("utf-16")),
    "packed in two members": lambda text: (
        gzip.compress(text.encode()[:9]) + gzip.compress(text.encode()[9:])
    ),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize(("read", "text"), [(read_json, JSON), (read_toml, TOML)])
def test_a_document_in_any_clothes_is_read(tmp_path, read, text, encode):
    file = tmp_path / "document"  # what it is shows its content, not its name
    file.write_bytes(encode(text))
    assert read(file) == CONTENT


def test_json_lines_that_were_put_together_are_read(tmp_path):
    file = tmp_path / "lines"
    file.write_bytes(b"".join(codecs.BOM_UTF8 + line for line in (b'{"a": 1}\n', b'{"a": 2}\n')))
    assert read_json(file, lines=True) == [{"a": 1}, {"a": 2}]


DAMAGED = "a gzip file that is damaged or was cut short"
WRONG_JSON = {
    "cut short": (gzip.compress(JSON.encode())[:-9], DAMAGED),
    "a header alone": (gzip.compress(JSON.encode())[:2], DAMAGED),
    "another sum": (gzip.compress(JSON.encode())[:-8] + bytes(8), DAMAGED),
    "followed by rubbish": (gzip.compress(JSON.encode()) + b"x" * 20, DAMAGED),
    "bzip2": (bz2.compress(JSON.encode()), "packed with bzip2; unpack it first"),
    "xz": (lzma.compress(JSON.encode()), "packed with xz; unpack it first"),
    "packed twice": (gzip.compress(gzip.compress(b"{}")), "not JSON, or cut short"),
    "empty": (b"", "not JSON, or cut short"),
    "a mark alone": (codecs.BOM_UTF8, "not JSON, or cut short"),
    "half a character": (JSON.encode("utf-16")[:-1], "not JSON, or cut short"),
    "Latin-1": (JSON.encode("latin-1"), "not JSON, or cut short"),
    "nested too deep": (b"[" * 100_000, "not JSON, or cut short"),
    "a giant number": (b"9" * 5000, "not JSON, or cut short"),
}
WRONG_TOML = {
    "no TOML": (b"a = ", "not TOML: Invalid value (at end of document)"),
    "Latin-1": (TOML.encode("latin-1"), "not TOML: 'utf-8' codec can't decode"),
    "lists nested too deep": (b"a = " + b"[" * 2000, "not TOML: its parts are nested too deep"),
    "tables nested too deep": (b"a = " + b"{a=" * 1000, "not TOML: its parts are nested too deep"),
    "digits without end": (b"a = " + b"9" * 4400, "not TOML: line 1 has more than 4000"),
    "many digits": (b"a = 0x" + b"f" * 3900, "a: a whole number of more than 64 bits"),
    "a number of no column": (b"[t]\na = [1, 9223372036854775808]", "a: a whole number of more"),
    "a key of many parts": (b"a." * 5000 + b"a = 1", "not TOML: line 1 has more than 4000"),
    "large": (b"#" + b" \n" * 140_000, "larger than 256 KiB, the most that is read of such a"),
}


@pytest.mark.parametrize(("content", "says"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_json_that_is_wrong_is_refused_in_one_line(tmp_path, content, says):
    refuses(read_json, tmp_path / "document", content, says)


@pytest.mark.parametrize(("content", "says"), WRONG_TOML.values(), ids=WRONG_TOML)
def test_toml_that_is_wrong_is_refused_in_one_line(tmp_path, content, says):
    refuses(read_toml, tmp_path / "document", content, says)


def refuses(read, file, content, says):
    file.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        read(file)
    assert str(refusal.value).startswith(f"{file}: {says}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_document_of_too_much_text_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(documents, "MOST_BYTES", 2**20)
    (tmp_path / "document").write_bytes(pack(b" " * (2**20 + 1)))
    with pytest.raises(UserError, match=r"document: larger than 1,024 KiB, the most that is read"):
        read_json(tmp_path / "document")


@pytest.mark.parametrize("flags", [os.O_RDWR, os.O_RDONLY | os.O_NONBLOCK])
def test_a_pipe_with_nothing_in_it_is_not_waited_for_without_end(tmp_path, monkeypatch, flags):
    monkeypatch.setattr(files, "PIPE_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    other = os.open(tmp_path / "pipe", flags)  # with a writer that has nothing, or without one
    with pytest.raises(UserError, match="pipe: cannot be read: nothing has come through"):
        read_json(tmp_path / "pipe")
    os.close(other)


def test_what_a_shell_hands_over_as_a_pipe_is_read():
    reading, writing = os.pipe()
    os.write(writing, JSON.encode())
    os.close(writing)
    assert read_json(f"/dev/fd/{reading}") == CONTENT
    os.close(reading)


@pytest.mark.parametrize(("name", "says"), [("absent", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, says):
    with pytest.raises(UserError, match=f"cannot be read: {says}"):
        read_json(tmp_path / name)
