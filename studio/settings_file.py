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


class BundleSettings(BaseModel):
    """What `edgedrag bundle install` and `use` hold a release to, as the options of the same meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    keys: tuple[str, ...] = Field(
        default=(),
        description="Public keys of minisign that may have signed a release: each the key's line, or a file.",
    )
    trial: int = Field(default=20, ge=0, le=1000, description="First edits that are judged; 0 for none.")
    most_bad: float = Field(default=0.5, ge=0, le=1, description="Share of them that may be bad.")
    slower: float = Field(default=2.0, ge=1, le=1000, description="Times as long as an edit before.")


class SettingsFile(PublicSettings):
    """Settings of an edgedrag station."""

    engine: EngineSettings = EngineSettings()
    bundles: BundleSettings = BundleSettings()


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of the station that a file has, by name; `[engine]`'s beside the others, `limits` as one value.

    Raises:
        InputError: see `read_file`.
    """
    found = read_file(file)
    values = {name: getattr(found, name) for name in found.model_fields_set - {"engine", "bundles"}}
    return values | found.engine.model_dump(exclude_unset=True)


def read_file(file: Path) -> SettingsFile:
    """All that a file says.

    Raises:
        InputError: no such file, not TOML, an unknown name or a value out of range.
    """
    try:
        return SettingsFile(**tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        name, why = problem(error)
        raise InputError(f"{file}: {name}: {why}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError
        raise InputError(f"{file}: is not TOML ({error})") from None


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
