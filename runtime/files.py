"""Files: hashed, and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

PARTIAL = ".partial"
BLOCK = 1 << 22  # bytes read at a time


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, data: memoryview | bytes, durable: bool = False) -> None:
    """Write a file beside its place and move it there; on an error nothing is left behind.

    Args:
        durable: it is on the disk, not only in the system's memory, before it gets its name.

    Raises:
        OSError: the folder is full or not writable.
    """
    aside = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL, delete=False) as f:
            aside = Path(f.name)
            f.write(data)
            if durable:
                f.flush()
                os.fsync(f.fileno())
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)
        os.replace(aside, path)
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)
