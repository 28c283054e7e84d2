"""The station's settings as one TOML file; docs/studio.schema.json is its JSON Schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.options import BACKENDS, PRECISIONS
from edgedrag.studio.settings import TOKEN, PublicSettings, problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ONE_OF = "^(auto|{})$"


class EngineSettings(BaseModel):
    """What edits run on, as the options of the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str = Field(default="embedded", description="A bundle's folder, or a shipped name.")
    backend: str = Field(default="auto", pattern=ONE_OF.format("|".join(BACKENDS)))
    precision: str = Field(default="auto", pattern=ONE_OF.format("|".join(PRECISIONS)))
    engines: Path | None = Field(default=None, description="Folder of built engines, for TensorRT.")
    memory_budget: str | None = Field(default=None, description="Device memory for weights on a GPU, as 4GB.")
    threads: int | None = Field(default=None, ge=1, description="On the CPU.")


class SettingsFile(PublicSettings):
    """Settings of an edgedrag station."""

    engine: EngineSettings = EngineSettings()


def read_settings(file: Path) -> dict[str, Any]:
    """The settings that a file has, by name; those of `[engine]` beside the others, `limits` as one value.

    Raises:
        InputError: no such file, not TOML, an unknown name or a value out of range.
    """
    try:
        found = SettingsFile(**tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        name, why = problem(error)
        raise InputError(f"{file}: {name}: {why}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError
        raise InputError(f"{file}: is not TOML ({error})") from None
    values = {name: getattr(found, name) for name in found.model_fields_set - {"engine"}}
    return values | found.engine.model_dump(exclude_unset=True)


def read_token(file: Path) -> str:
    """The token in a file of one line. Raises InputError where there is none."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InputError(f"{file}: the token cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        token = ""
    if not TOKEN.fullmatch(token):
        raise InputError(f"{file}: holds no token, which has 16 to 200 of the characters A-Z a-z 0-9 . _ ~ -")
    return token
