"""The record's file: opened, given this version's columns, or set aside where SQLite finds it corrupt."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.studio.health.logs import warn

WAIT_SECONDS = 5.0  # for another process that has the file locked
VERSION = 1  # of the tables, in SQLite's user_version; they had none before
CORRUPT = ("database disk image is malformed", "malformed database schema", "file is not a database")
BESIDE = ("-wal", "-shm", "-journal")  # files that belong to a database
ADVICE = {
    "locked": "another process has it locked: stop that, or give another --state",
    "readonly database": "it is read-only: make it writable for the user who runs the station, or give another --state",
    "full": "the disk is full: free some space",
}

Tables = Mapping[str, Mapping[str, str]]  # columns with their SQL types, by table


def open_database(file: Path, tables: Tables) -> sqlite3.Connection:
    """Open or create a database; missing tables and columns are added, and a corrupt file is set aside for a new one.

    Raises:
        InputError: the file is locked, read-only, of a newer version, or cannot be used for another reason.
    """
    try:
        if _is_corrupt(file):
            _set_aside(file)
        try:
            return _connect(file, tables)
        except sqlite3.DatabaseError as error:
            if not _says_corrupt(error):
                raise
        _set_aside(file)
        return _connect(file, tables)
    except (sqlite3.Error, OSError) as error:
        advice = next((text for words, text in ADVICE.items() if words in str(error)), None)
        raise InputError(
            f"{file}: cannot be used as the station's record; {advice or f'{error}: mend it, or give another --state'}"
        ) from None


def _connect(file: Path, tables: Tables) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=WAIT_SECONDS)
    try:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        database.execute("PRAGMA journal_mode=WAL")  # a power cut loses the last moments at most, never the file
        database.execute("PRAGMA synchronous=NORMAL")
        with database:
            database.execute("BEGIN IMMEDIATE")  # whoever migrates is alone
            _migrate(database, tables, file)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection, tables: Tables, file: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise InputError(
            f"{file}: was written by a newer version of edgedrag; update this one, or give another --state"
        )
    for table, columns in tables.items():
        described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY, {described})")
        present = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        for name, kind in columns.items():
            if name not in present:
                database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
    database.execute(f"PRAGMA user_version={VERSION}")


def _is_corrupt(file: Path) -> bool:
    """Whether SQLite says so, in reading alone: closing a database that is open for writing deletes its WAL."""
    if not os.path.lexists(file):
        return False
    try:
        database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_SECONDS)
        try:
            return bool(database.execute("PRAGMA quick_check").fetchone()[0] != "ok")
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        return _says_corrupt(error)


def _says_corrupt(error: sqlite3.DatabaseError) -> bool:
    return str(error).startswith(CORRUPT)


def _set_aside(file: Path) -> None:
    """Rename a database and what belongs to it to a name that nothing has yet; its WAL first, which it needs."""
    number = 1
    while any(os.path.lexists(f"{_aside_name(file, number)}{end}") for end in ("", *BESIDE)):
        number += 1
    to = _aside_name(file, number)
    for end in (*BESIDE, ""):
        if os.path.lexists(f"{file}{end}"):
            os.rename(f"{file}{end}", f"{to}{end}")
    warn(f"{file.name} is corrupt; it is {to.name} from now on, and a new one was begun")


def _aside_name(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}.damaged" if number == 1 else f"{file.stem}.{number}.damaged")
