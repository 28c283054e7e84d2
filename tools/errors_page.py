"""Writes docs/errors.md: exit codes, and every code that a program may meet in an answer, from their enumerations.

python tools/errors_page.py (the extra [studio] installed)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgedrag.runtime.codes import Code, ExitCode
from edgedrag.runtime.drag.reasons import ENGLISH
from edgedrag.studio.api.problems import STATUSES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
TEXT = """# Exit codes and error codes

Written by `python tools/errors_page.py` from `runtime/codes.py`, `runtime/drag/reasons.py` and
`studio/api/problems.py`. Codes are stable names for programs; the sentence
beside one in an answer is for people, and may change.

## Exit codes of the command line

{exits}

In Python the same are `edgedrag.InputError` (2), `BundleError` and `EngineError` (3), all of them `EdgedragError`.

## Why a backend does not serve

`code` in `fallback` of every result (`[{{backend, code, reason}}]`), in `edgedrag doctor --json`, and of `EngineError`.

{codes}

## Why a result is doubtful or bad

`code` of each reason of `Edit.checks`.

{reasons}

## Answers of the studio's API

`code` in `{{detail, code}}`, which every answer but a success has, and in the error messages of the live connection.

{statuses}
"""


def table(head: str, rows: Iterable[tuple[str, str]]) -> str:
    """Two columns; `head` names the first."""
    return "\n".join([f"| {head} | |", "|---|---|", *(f"| {name} | {meaning} |" for name, meaning in rows)])


def page() -> str:
    """The whole text."""
    return TEXT.format(
        exits=table("exit code", ((str(code.value), code.meaning) for code in ExitCode)),
        codes=table("code", ((f"`{code}`", code.meaning) for code in Code)),
        reasons=table("code", ((f"`{code.value}`", text) for code, text in ENGLISH.items())),
        statuses=table("code", ((f"`{code}`", f"HTTP {status}") for status, code in STATUSES.items())),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
