"""Structured logs: one JSON object a line on stderr, without names, addresses of files or picture content."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("edgedrag.studio")


class JsonLines(logging.Formatter):
    """A record as a line; a traceback is one string."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up() -> None:
    """Send the station's and the server's logs to stderr as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("edgedrag.studio", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], False
    for name in ("edgedrag.studio", "uvicorn"):
        logging.getLogger(name).addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its lines name sessions
    logging.getLogger("uvicorn.error").propagate = True


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Write a line."""
    LOGGER.log(level, event, extra={"fields": fields})


def warn(event: str) -> None:
    """Write a warning."""
    log(event, logging.WARNING)


def short(session: str) -> str:
    """A session's name in the logs: a hash too short to find the session by."""
    return hashlib.sha256(session.encode()).hexdigest()[:8]
