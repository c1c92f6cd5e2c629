"""The file of remembered answers serves several devices, and hwbench works without it."""

import json
import os
from pathlib import Path

import pytest

from hwbench import remembered
from hwbench.recording.sizing import remembered_sizes
from hwbench.remembered import Remembered, cache_folder


def is_number(answer):
    return type(answer) is int


@pytest.mark.parametrize("content", ["{", "[]", "\ufffe"])
def test_a_damaged_file_is_replaced_with_one_warning(tmp_path, content):
    warned = []
    (tmp_path / "f").write_text(content)
    memory = Remembered(tmp_path / "f", {}, is_number, warned.append)
    assert memory.get("q") is None
    memory.put("q", 7)
    assert len(warned) == 1
    assert memory.get("q") == 7
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_an_invalid_answer_is_unknown(tmp_path):
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


def test_a_file_that_cannot_be_written_is_one_warning(tmp_path):
    (tmp_path / "file").write_text("")
    warned = []
    Remembered(tmp_path / "file" / "f", {}, is_number, warned.append).put("q", 1)
    assert len(warned) == 1


def test_the_cache_folder_is_the_variables_or_the_users(monkeypatch):
    monkeypatch.setenv("HWBENCH_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("HWBENCH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/hwbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/hwbench")


@pytest.mark.parametrize("name", ["unknown CPU (2 cores)", "aarch64 (2 cores)", "EPYC 7543"])
def test_answers_about_an_unknown_device_hold_until_the_next_boot(tmp_path, monkeypatch, name):
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(remembered, "BOOT", boot)

    def sizes():
        return remembered_sizes(tmp_path, {"name": name}, {}, 1.0, pytest.fail)

    boot.write_text("one\n")
    sizes().put("q", 4)
    assert sizes().get("q") == 4
    boot.write_text("another\n")
    assert sizes().get("q") == (4 if name == "EPYC 7543" else None)
    boot.unlink()
    assert remembered.until_reboot() == f"process {os.getpid()}"
