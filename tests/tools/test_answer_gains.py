"""The table of what the ways to answer a pull gain."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("answer_gains", REPOSITORY / "tools" / "answer_gains.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_ways_that_are_right_in_turn_go_together(script: ModuleType) -> None:
    """Of three pulls each is answered by one way only; what is second best everywhere adds nothing to these."""
    gains = np.zeros((3, len(script.WAYS)))
    gains[range(3), [0, 4, 8]] = 6
    gains[:, 2] = 3
    found = script.summary(gains)
    assert found["best_three"] == {"ways": [" ".join(script.WAYS[n]) for n in (0, 4, 8)], "gain": 6}
    assert found["ways"][" ".join(script.WAYS[2])] == 3 and found["best_way"] == 6


def test_every_candidate_without_a_mask_is_a_way(script: ModuleType) -> None:
    gains = np.eye(len(script.WAYS))
    found = script.summary(gains)
    share = 1 / len(script.WAYS)
    assert found["first"] == round(share, 2) and found["best_of_three"] == round(3 * share, 2)
