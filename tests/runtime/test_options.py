"""What a runtime is opened with: one value, checked when it is made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.options import BACKENDS, PRECISIONS, RuntimeOptions
from edgedrag.runtime.system.cpus import allowed_cpus

WRONG: dict[str, list[Any]] = {
    "bundle": [None, 3, "", b"embedded"],
    "backend": ["tensor-rt", "CPU", "", None, 0],
    "precision": ["fp8", "FP16", None, 16],
    "engines": [3, b"engines", ["engines"]],
    "memory_budget": [0, -1, 2.5, "4GB", True],
    "threads": [0, -1, 10**6, 1.0, "2", True],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_wrong_value_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{field}: "):
        edgedrag.open(**{field: value})


def test_what_the_public_function_takes_is_what_the_options_hold() -> None:
    options = {field.name: field.default for field in fields(RuntimeOptions)}
    assert {name: p.default for name, p in signature(edgedrag.open).parameters.items()} == options
    assert set(WRONG) == set(options)


@pytest.mark.parametrize("value", [*BACKENDS, "auto"])
def test_every_backend_is_a_value(value: str) -> None:
    assert RuntimeOptions(backend=value).backend == value


@pytest.mark.parametrize("value", [*PRECISIONS, "auto"])
def test_every_precision_is_a_value(value: str) -> None:
    assert RuntimeOptions(precision=value).precision == value


def test_paths_and_numbers_of_any_kind_are_taken(tmp_path: Path) -> None:
    options = RuntimeOptions(tmp_path, engines=str(tmp_path), memory_budget=np.int64(5), threads=np.int32(1))
    assert options.engine_folder == tmp_path and options.cpu_threads == 1
    assert RuntimeOptions().engine_folder is None and 1 <= RuntimeOptions().cpu_threads <= allowed_cpus()
    with pytest.raises(FrozenInstanceError):
        options.threads = 2  # type: ignore[misc]


def test_a_runtime_keeps_what_it_was_opened_with() -> None:
    runtime = edgedrag.open(backend="cpu", precision="fp32", threads=1)
    assert runtime.options == RuntimeOptions(backend="cpu", precision="fp32", threads=1)
    assert (runtime.backend.name, runtime.precision) == ("cpu", "fp32")
