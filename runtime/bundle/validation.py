"""A manifest against its schema. One that was found valid is remembered, since compiling the schema takes longest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.files import cache_folder

SCHEMA = Path(__file__).with_name("bundle.schema.json")


def validate(path: Path, text: bytes, manifest: Any) -> None:
    """Raise BundleError where a manifest, read as `text` from the file `path`, is not as the schema says."""
    valid = cache_folder() / "manifests" / hashlib.sha256(SCHEMA.read_bytes() + text).hexdigest()
    if valid.exists():
        return
    fault = _fault(manifest)
    if fault is not None:
        raise BundleError(f"{path}: {fault.replace('data.', '').replace('data ', 'the manifest ')}")
    with suppress(OSError):
        valid.parent.mkdir(parents=True, exist_ok=True)
        valid.touch()


def _fault(manifest: Any) -> str | None:
    """What is wrong with a manifest; None where nothing is."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator(False)(manifest)  # compiled in a third of the time; it does not take "const" in a schema
    except JsonSchemaValueException:
        try:
            _validator(True)(manifest)
        except JsonSchemaValueException as error:
            return str(error.message)
    return None


@cache
def _validator(detailed: bool) -> Callable[[Any], Any]:
    import fastjsonschema

    return fastjsonschema.compile(json.loads(SCHEMA.read_bytes()), detailed_exceptions=detailed)
