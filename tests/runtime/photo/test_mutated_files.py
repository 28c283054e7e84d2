"""Damaged files of every format are opened or refused in words; `tools/fuzz_photos.py` is the long form of this."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from conftest import REPOSITORY

pytest.importorskip("pillow_heif", reason="the extra [test] brings pillow-heif")
COUNT = 60


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_photos", REPOSITORY / "tools" / "fuzz_photos.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC", "GIF", "BMP"])
def test_mutated_files_are_opened_or_refused(script: ModuleType, form: str) -> None:
    outcomes = {number: script.outcome(form, number) for number in range(COUNT)}
    assert not {number: what for number, what in outcomes.items() if what not in ("opened", "refused")}
    assert "opened" in outcomes.values() and "refused" in outcomes.values(), "the cases are of both kinds"


def test_a_mutation_is_of_its_number_alone(script: ModuleType) -> None:
    files = [script.mutated("PNG", number) for number in range(30)]
    assert files == [script.mutated("PNG", number) for number in range(30)] and len(set(files)) == 30
