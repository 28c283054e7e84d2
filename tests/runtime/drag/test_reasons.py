"""Reasons are data, and every code is worded, in English and in the studio's languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

from edgedrag.runtime.drag.reasons import ENGLISH, Reason, ReasonCode

LANGUAGES = sorted((REPOSITORY / "studio" / "static" / "i18n").glob("*.json"))
VALUES = {ReasonCode.MISSED: {"pixels": 12}}  # what `check` gives with each code; nothing with the others


def test_a_sentence_names_the_values() -> None:
    assert str(Reason(ReasonCode.MISSED, {"pixels": 12})).startswith("the handle's content is 12 px from its target")
    assert Reason(ReasonCode.SEAM) == Reason(ReasonCode.SEAM) and {Reason(ReasonCode.SEAM)}


@pytest.mark.parametrize("code", ReasonCode)
def test_every_code_is_a_sentence_in_english(code: ReasonCode) -> None:
    sentence = str(Reason(code, VALUES.get(code, {})))
    assert sentence and "{" not in sentence and set(ENGLISH) == set(ReasonCode)


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_every_code_is_worded_in_each_language_of_the_studio(file: Path) -> None:
    texts = json.loads(file.read_text(encoding="utf-8"))
    assert {key for key in texts if key.startswith("reason_")} == {f"reason_{code.value}" for code in ReasonCode}
    for code in ReasonCode:
        assert set(re.findall(r"{(\w+)}", texts[f"reason_{code.value}"])) <= set(VALUES.get(code, {}))
