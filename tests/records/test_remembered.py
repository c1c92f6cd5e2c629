"""The file of remembered answers: whole at any moment, shared by devices, and done without where it
cannot be."""

import json
from pathlib import Path

import pytest

from hwbench.remembered import Remembered, cache_folder


def is_number(answer):
    return type(answer) is int


@pytest.mark.parametrize("content", ["{", "[]", "\ufffe"])
def test_a_damaged_file_is_told_of_once_and_replaced(tmp_path, content):
    warned = []
    (tmp_path / "f").write_text(content)
    memory = Remembered(tmp_path / "f", {}, is_number, warned.append)
    assert memory.get("q") is None
    memory.put("q", 7)
    assert len(warned) == 1
    assert memory.get("q") == 7
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_what_is_no_answer_is_not_known(tmp_path):
    memory = Remembered(tmp_path / "f", {}, is_number, print)
    memory.put("q", "seven")
    assert memory.get("q") is None


def test_answers_of_other_devices_stay(tmp_path):
    one, other = (
        Remembered(tmp_path / "new" / "f", {"device": name}, is_number, print) for name in "ab"
    )
    one.put("q", 1)
    other.put("q", 2)
    assert (one.get("q"), other.get("q")) == (1, 2)
    assert len(json.loads((tmp_path / "new" / "f").read_text())) == 2


def test_a_place_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    warned = []
    Remembered(tmp_path / "file" / "f", {}, is_number, warned.append).put("q", 1)
    assert len(warned) == 1


def test_the_cache_folder_is_named_or_the_users_own(monkeypatch):
    monkeypatch.setenv("HWBENCH_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("HWBENCH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/hwbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/hwbench")
