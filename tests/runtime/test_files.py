"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import (
    ASIDE,
    _exchange,
    aside_folder,
    check_file,
    check_folder,
    move_folder,
    remove_leftovers,
    scratch_folder,
    user_folder,
    write_aside,
    write_whole,
)


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


KILLED = """
import os, sys
from pathlib import Path
from edgedrag.runtime import files
folder = Path(sys.argv[1])
with files.aside_folder(folder) as made:
    (made / "weights").write_bytes(b"half")
    os.replace = lambda *_: (print("written", flush=True), sys.stdin.read())
    files.write_whole(folder / "picture.png", b"data")
"""


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"written\n"
        halves = sorted(tmp_path.iterdir())
        assert len(halves) == 2 and all(half.name.startswith(ASIDE) for half in halves)
        remove_leftovers(tmp_path)
        assert sorted(tmp_path.iterdir()) == halves, "they are being written"
        writer.send_signal(signal.SIGKILL)
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_own_names_are_removed(tmp_path: Path) -> None:
    mine = [".bashrc", ".x.png.1a2b3c4d.partial", f"{ASIDE}notes", "film.partial", f"x{ASIDE}1.partial"]
    for name in mine:
        (tmp_path / name).write_bytes(b"somebody's")
    (tmp_path / "elsewhere").write_bytes(b"behind a link")
    (tmp_path / f"{ASIDE}link.partial").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{ASIDE}0.partial").write_bytes(b"ours")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "none")
    assert {p.name for p in tmp_path.iterdir()} == {*mine, "elsewhere", f"{ASIDE}link.partial"}


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("n" * 255), b"data")
    assert [len(p.name) for p in tmp_path.iterdir()] == [255]


def test_a_folder_that_was_not_moved_away_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError), aside_folder(tmp_path) as made:
        (made / "inner").mkdir()
        raise ValueError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr("edgedrag.runtime.files._exchange", lambda *_: False)
    for content in ("first", "second"):
        with aside_folder(tmp_path) as made:
            (made / "content").write_text(content)
            move_folder(made, tmp_path / "bundle")
        assert (tmp_path / "bundle" / "content").read_text() == content
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_two_folders_change_places_in_one_step_on_linux(tmp_path: Path) -> None:
    """Else there is a moment at which a kill leaves neither of them at its place."""
    if sys.platform != "linux":
        pytest.skip("renameat2 is Linux's")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert _exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists() and (tmp_path / "b" / "a").exists()


def test_a_user_without_a_home_folder_has_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert user_folder("XDG_STATE_HOME", ".local/state", "/var/lib") == tmp_path / "edgedrag"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "a/relative/one"):
        monkeypatch.setenv("XDG_STATE_HOME", unusable)
        assert user_folder("XDG_STATE_HOME", ".local/state", "/var/lib") == tmp_path / ".local/state/edgedrag"
    monkeypatch.setattr(Path, "home", no_home)
    assert user_folder("XDG_STATE_HOME", ".local/state", "/var/lib") == Path("/var/lib/edgedrag")


def test_a_temporary_folder_is_gone_after_and_none_at_all_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch_folder() as folder:
        (folder / "a").touch()
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(InputError, match="set TMPDIR"), scratch_folder():
        pass
