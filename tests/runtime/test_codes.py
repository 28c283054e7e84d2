"""Codes are data: words in JSON, in messages and in comparisons, and nothing else passes for one."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import asdict

import pytest

import edgedrag
from edgedrag.runtime.codes import Code, ExitCode
from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError, InputError
from edgedrag.runtime.selection.select import Fallback


@pytest.mark.parametrize("code", Code)
def test_a_code_is_its_word_everywhere(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.value)
    assert f"{code}" == str(code) == code == code.value == code.name.lower().replace("_", "-")
    assert json.loads(json.dumps(asdict(Fallback("cpu", code, "why")))) == {
        "backend": "cpu",
        "code": code.value,
        "reason": "why",
    }
    assert code.meaning.endswith(".") and Code(code.value) is code and pickle.loads(pickle.dumps(code)) is code


def test_no_two_codes_say_the_same() -> None:
    assert len({code.meaning for code in Code}) == len(Code)


def test_an_engine_error_has_a_code() -> None:
    assert EngineError("it failed").code is Code.FAILED
    assert EngineError("it failed", Code.NO_GPU).code is Code.NO_GPU
    with pytest.raises(ValueError, match="no-such-code"):
        EngineError("it failed", "no-such-code")  # type: ignore[arg-type]


def test_exit_codes_of_the_errors() -> None:
    errors = (EdgedragError, InputError, BundleError, EngineError)
    assert [error.exit_code for error in errors] == [1, 2, 3, 3]
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4] and all(code.meaning for code in ExitCode)


def test_every_fallback_of_this_machine_has_a_code(runtime: edgedrag.Runtime) -> None:
    assert all(isinstance(step.code, Code) for step in runtime.fallback)
