"""The local record of edits: numbers and verdicts, never pixels or names; SQLite in the state folder."""

from __future__ import annotations

import csv
import io
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from edgedrag.runtime.errors import InputError
from edgedrag.studio.health.logs import log
from edgedrag.studio.records.database import open_database
from edgedrag.studio.records.days import Day, days

MAX_EDITS = 100_000  # older ones are deleted at the start
MAX_ERRORS = 1_000
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One edit. `at` is Unix seconds; timings in milliseconds, `wait_ms` in the queue; sizes in pixels."""

    at: float
    verdict: str
    reasons: str  # codes, joined by spaces
    landing_error_px: float | None
    wait_ms: float
    reference_ms: float
    drag_ms: float
    denoise_ms: float
    decode_ms: float
    composite_ms: float
    total_ms: float
    steps: int
    drags: int
    width: int
    height: int
    own_mask: int
    bundle: str
    backend: str
    precision: str


COLUMNS = tuple(field.name for field in fields(Entry))
KINDS = {"float": "REAL", "int": "INTEGER", "float | None": "REAL", "str": "TEXT"}
TABLES = {
    "edits": {field.name: KINDS[str(field.type)] for field in fields(Entry)},
    "errors": {"at": "REAL", "what": "TEXT"},
}


class Monitor:
    """The record. A thread of its own does all the work, so that a slow disk delays nobody."""

    def __init__(self, file: Path):
        """Opens or creates it; a corrupt file is renamed to a .damaged one.

        Raises:
            InputError: the file cannot be used, such as one that is locked or read-only.
        """
        self._file = file
        self._failing = False
        self._thread = ThreadPoolExecutor(1, "monitor")
        self._database: sqlite3.Connection = self._thread.submit(self._open).result()

    def add(self, entry: Entry) -> Future[Any]:
        """Write an edit."""
        query = f"INSERT INTO edits ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
        return self._write(query, tuple(asdict(entry).values()))

    def add_error(self, what: str) -> Future[Any]:
        """Write down an error, in one line without anything a visitor brought."""
        return self._write("INSERT INTO errors (at, what) VALUES (?, ?)", (time.time(), what[:500]))

    def edits(self, limit: int) -> Future[list[dict[str, Any]]]:
        """The newest edits, the newest first."""
        return self._do(lambda d: _rows(d.execute("SELECT * FROM edits ORDER BY id DESC LIMIT ?", (limit,))))

    def errors(self, limit: int = 20) -> Future[list[dict[str, Any]]]:
        """The newest errors, the newest first."""
        return self._do(lambda d: _rows(d.execute("SELECT at, what FROM errors ORDER BY id DESC LIMIT ?", (limit,))))

    def verdicts(self, limit: int) -> Future[list[str]]:
        """Of the newest edits, the oldest first."""
        query = "SELECT verdict FROM edits ORDER BY id DESC LIMIT ?"
        return self._do(lambda d: [row[0] for row in d.execute(query, (limit,))][::-1])

    def days(self, count: int) -> Future[list[Day]]:
        """The record by day, the newest first."""
        return self._do(lambda d: days(d, count))

    def as_csv(self) -> Future[str]:
        """All edits, the oldest first."""

        def write(database: sqlite3.Connection) -> str:
            out = io.StringIO()
            writer = csv.writer(out)
            found = database.execute("SELECT * FROM edits ORDER BY id")
            writer.writerow([column[0] for column in found.description])
            writer.writerows(found)
            return out.getvalue()

        return self._do(write)

    def close(self) -> None:
        """Write what is queued, then close."""
        self._thread.submit(self._database.close)
        self._thread.shutdown()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        def run() -> T:
            with self._database:
                return work(self._database)

        return self._thread.submit(run)

    def _write(self, query: str, values: tuple[Any, ...]) -> Future[Any]:
        """Execute a statement; the first failure of a row of them is logged, such as that of a full disk."""

        def write(database: sqlite3.Connection) -> None:
            try:
                database.execute(query, values)
            except sqlite3.Error as error:
                if not self._failing:
                    log("the record cannot be written", logging.ERROR, reason=str(error))
                self._failing = True
                raise
            if self._failing:
                log("the record is written again")
            self._failing = False

        return self._do(write)

    def _open(self) -> sqlite3.Connection:
        database = open_database(self._file, TABLES)
        try:
            with database:
                for table, most in (("edits", MAX_EDITS), ("errors", MAX_ERRORS)):
                    database.execute(f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", (most,))
        except sqlite3.Error as error:
            database.close()
            raise InputError(f"{self._file}: cannot be used as the station's record ({error})") from None
        return database


def _rows(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found]
