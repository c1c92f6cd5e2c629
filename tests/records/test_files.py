"""`atomic_write` replaces a file whole or not at all."""

import os
import stat

import pytest

from hwbench.files import atomic_write, read_regular, require_folder


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
