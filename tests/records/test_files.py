"""`atomic_write` replaces a file whole or not at all."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from hwbench import files
from hwbench.files import atomic_write, read_regular, read_start, require_folder


def test_the_file_has_its_new_content_and_nothing_lies_beside_it(tmp_path):
    target = tmp_path / "f"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("raised", [OSError, KeyboardInterrupt, ValueError])
def test_a_write_that_fails_leaves_the_old_content_alone(tmp_path, raised):
    target = tmp_path / "f"
    target.write_text("old")

    def write_a_part():
        with atomic_write(target) as temporary:
            temporary.write_text("ne")
            raise raised

    with pytest.raises(raised):
        write_a_part()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "f"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"), atomic_write(tmp_path / "a" / "f") as part:
        part.write_text("x")


def test_a_file_system_that_syncs_no_folder_is_written_all_the_same(tmp_path, monkeypatch):
    sync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with atomic_write(tmp_path / "f") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "f").read_text() == "new"


def test_the_file_is_readable_as_any_other(tmp_path):
    with atomic_write(tmp_path / "f") as temporary:
        temporary.write_text("new")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_folder_to_be_made_is_one_whose_nearest_parent_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    require_folder(tmp_path / "a" / "b", "c" * 255)
    for folder, name, says in (
        (tmp_path / "file" / "b", "", "Not a directory"),
        (tmp_path / "loop", "", "Too many levels"),
        (tmp_path / "a", "é" * 128, "File name too long"),
    ):
        with pytest.raises(OSError, match=says):
            require_folder(folder, name)


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        read_regular(tmp_path / "pipe")


class TestReadStart:
    def test_a_file_is_read_up_to_a_bound(self, tmp_path):
        (tmp_path / "f").write_bytes(b"12345")
        assert read_start(tmp_path / "f", 3) == b"123"
        assert read_start(tmp_path / "f", 9) == b"12345"

    def test_a_pipe_is_read_until_it_is_closed(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")

        def write():
            with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
                pipe.write(b"1" * 100_000)
                time.sleep(0.1)
                pipe.write(b"2")

        writer = threading.Thread(target=write)
        writer.start()
        assert read_start(tmp_path / "pipe", 1 << 20) == b"1" * 100_000 + b"2"
        writer.join(10)

    @pytest.mark.parametrize("has_writer", [False, True])
    def test_a_pipe_with_nothing_in_it_is_not_waited_for_without_end(
        self, tmp_path, monkeypatch, has_writer
    ):
        monkeypatch.setattr(files, "PIPE_S", 0.1)
        os.mkfifo(tmp_path / "pipe")
        flags = os.O_RDWR if has_writer else os.O_RDONLY | os.O_NONBLOCK
        other = os.open(tmp_path / "pipe", flags)
        with pytest.raises(TimeoutError, match="nothing has come through this pipe"):
            read_start(tmp_path / "pipe", 10)
        os.close(other)

    @pytest.mark.parametrize(
        ("name", "says"), [("/dev/zero", "a device"), ("/tmp", "Is a directory")]
    )
    def test_what_is_no_file_is_an_error(self, name, says):
        with pytest.raises(OSError, match=says):
            read_start(Path(name), 10)
