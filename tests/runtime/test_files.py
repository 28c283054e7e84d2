"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import check_file, check_folder, write_aside, write_whole


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_gets_the_mode_that_any_new_file_gets(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_the_umask_of_the_process_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's file, made while the umask is 0, would be writable by everyone."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
    write_whole(tmp_path / "a", b"data", durable=True)
    assert (tmp_path / "a").read_bytes() == b"data"


def test_writers_of_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    contents = [bytes([n]) * 100_000 for n in range(8)]
    threads = [threading.Thread(target=write_whole, args=(tmp_path / "a", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() in contents and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_nothing_is_left_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_aside(tmp_path / "folder", b"data")
    with pytest.raises(InputError, match="is a folder"):
        check_file(tmp_path / "folder")
    with pytest.raises(InputError, match="no such folder"):
        check_folder(tmp_path / "none")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
