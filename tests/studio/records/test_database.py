"""A record that cannot be used is told apart from one that is corrupt, and nothing of it is ever lost."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unprivileged import unprivileged

from edgedrag.runtime.errors import InputError
from edgedrag.studio.records import database as databases
from edgedrag.studio.records.database import open_database
from edgedrag.studio.records.monitor import COLUMNS, TABLES, Entry, Monitor

ENTRY = Entry(1.5, "bad", "missed seam", 12.5, 1, 2, 3, 4, 5, 6, 20, 1, 1, 600, 400, 0, "embedded", "cpu", "int8")

OPEN = """
import sys
from pathlib import Path
from edgedrag.runtime.errors import InputError
from edgedrag.studio.records.monitor import Monitor
try:
    Monitor(Path(sys.argv[1])).close()
except InputError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A record with one edit."""
    file = tmp_path / "monitor.sqlite"
    monitor = Monitor(file)
    monitor.add(ENTRY)
    monitor.close()
    return file


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "WAIT_SECONDS", 0.1)


def edits(file: Path) -> int:
    monitor = Monitor(file)
    try:
        return len(monitor.edits(100).result())
    finally:
        monitor.close()


def others(file: Path) -> dict[str, bytes]:
    """Content of all files but the record itself and what SQLite has beside it."""
    own = {file.name, f"{file.name}-wal", f"{file.name}-shm"}
    return {p.name: p.read_bytes() for p in file.parent.iterdir() if p.name not in own}


def test_a_locked_record_is_waited_for(file: Path) -> None:
    holder = sqlite3.connect(file, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.5, holder.rollback).start()
    assert edits(file) == 1
    holder.close()


def test_a_record_that_stays_locked_is_a_sentence(file: Path, no_waiting: None) -> None:
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match="another process has it locked"):
        Monitor(file)
    holder.close()
    assert edits(file) == 1 and not others(file)


def test_a_read_only_record_is_a_sentence(file: Path) -> None:
    file.chmod(0o444)
    done = unprivileged([sys.executable, "-c", OPEN, str(file)])
    assert done.returncode == 1 and "it is read-only" in done.stderr, done.stderr
    assert edits(file) == 1 and not others(file)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 kB that a process of its own sees: a function that runs Python there, given the folder."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield tmp_path


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_the_record_stays(file: Path, small_disk: Path) -> None:
    place = small_disk / "disk"
    place.mkdir()
    script = f"""
        mount -t tmpfs -o size=128k tmpfs {place} && cp {file} {place}
        dd if=/dev/zero of={place}/fill bs=4k 2> /dev/null
        {sys.executable} -c '{OPEN}' {place}/monitor.sqlite; echo $?
        rm {place}/fill && {sys.executable} -c '{OPEN}' {place}/monitor.sqlite; echo $?
        ls {place}; cp {place}/monitor.sqlite {small_disk}/after"""
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    if "mount:" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.stdout.split() == ["1", "0", "monitor.sqlite"], done.stderr
    assert "cannot be used as the station's record" in done.stderr and "Traceback" not in done.stderr
    assert edits(small_disk / "after") == 1


def test_the_full_disk_of_a_running_station_is_logged_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgedrag.studio")
    monitor = Monitor(file)
    most = monitor._do(lambda d: d.execute("PRAGMA max_page_count=1").fetchone()[0]).result()
    written = [monitor.add_error("x" * 500) for _ in range(50)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        written[-1].result()
    monitor._do(lambda d: d.execute(f"PRAGMA max_page_count={most + 100}").fetchone()).result()
    monitor.add(ENTRY).result()
    monitor.close()
    assert [r.message for r in caplog.records] == ["the record cannot be written", "the record is written again"]
    assert edits(file) == 2


@pytest.mark.parametrize("missing", [("precision",), ("own_mask", "bundle"), COLUMNS[1:]])
def test_an_older_record_gets_the_new_columns(tmp_path: Path, missing: tuple[str, ...]) -> None:
    file = tmp_path / "monitor.sqlite"
    had = {name: kind for name, kind in TABLES["edits"].items() if name not in missing}
    with sqlite3.connect(file) as old:
        old.execute(f"CREATE TABLE edits (id INTEGER PRIMARY KEY, {', '.join(f'{n} {k}' for n, k in had.items())})")
        old.execute("INSERT INTO edits (at) VALUES (3.5)")
    old.close()
    monitor = Monitor(file)
    monitor.add(ENTRY).result()
    first, second = reversed(monitor.edits(10).result())
    monitor.close()
    assert first["at"] == 3.5 and all(first[name] is None for name in missing)
    assert second["verdict"] == "bad" and second["precision"] == "int8" and not others(file)


def test_a_newer_record_is_a_sentence(file: Path) -> None:
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(InputError, match="newer version"):
        Monitor(file)
    assert not others(file)


@pytest.mark.parametrize("statement", ["CREATE VIEW edits AS SELECT 1 AS at", "CREATE TABLE edits (at, other)"])
def test_somebody_elses_database_is_a_sentence(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "monitor.sqlite"
    with sqlite3.connect(file) as own:
        own.execute(statement)
    own.close()
    with pytest.raises(InputError, match="cannot be used as the station's record"):
        Monitor(file)
    assert not others(file)


def test_a_folder_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "monitor.sqlite").mkdir()
    with pytest.raises(InputError, match="cannot be used"):
        Monitor(tmp_path / "monitor.sqlite")


def zeros(file: Path) -> None:
    file.write_bytes(b"\0" * 50_000)


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(50_000))


def a_page_of_zeros(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\0" * 4096 + data[8192:])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [zeros, garbage, a_page_of_zeros, cut])
def test_corrupt_records_are_set_aside_and_never_overwritten(file: Path, damage: Callable[[Path], None]) -> None:
    seen: dict[str, bytes] = {}
    for count in range(1, 4):
        damage(file)
        wal = file.with_name("monitor.sqlite-wal")
        wal.write_bytes(b"some frames" * count)
        seen |= {"damaged": file.read_bytes(), "wal": wal.read_bytes()}
        before = others(file)
        assert edits(file) == 0
        after = others(file)
        assert {name: after[name] for name in before} == before, "what was set aside stays as it was"
        new = {name: data for name, data in after.items() if name not in before and not name.endswith("-shm")}
        assert sorted(new.values()) == sorted(seen.values())
        monitor = Monitor(file)
        for _ in range(count + 3):
            monitor.add(ENTRY)
        monitor.close()
    names = ["monitor.damaged", "monitor.2.damaged", "monitor.3.damaged"]
    assert all(f"{name}{end}" in others(file) for name in names for end in ("", "-wal"))


def test_a_record_whose_last_edits_are_in_its_wal_is_whole(file: Path, tmp_path: Path) -> None:
    """As a killed station leaves it."""
    monitor = Monitor(file)
    monitor.add(ENTRY).result()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (file.name, f"{file.name}-wal"):
        shutil.copy(file.with_name(name), copy)
    monitor.close()
    assert edits(copy / file.name) == 2 and not others(copy / file.name)


def test_bad_text_is_read_with_replacement_characters(file: Path) -> None:
    with sqlite3.connect(file) as own:
        own.execute("UPDATE edits SET verdict = CAST(x'ff62' AS TEXT)")
    own.close()
    monitor = Monitor(file)
    assert monitor.verdicts(5).result() == ["\ufffdb"] and "\ufffdb" in monitor.as_csv().result()
    monitor.close()


def test_any_folder_name_can_hold_a_record(tmp_path: Path) -> None:
    place = tmp_path / "50% off? #1 \u00e9"
    place.mkdir()
    open_database(place / "monitor.sqlite", TABLES).close()
    open_database(place / "monitor.sqlite", TABLES).close()
    assert [p.name for p in place.iterdir()] == ["monitor.sqlite"]
