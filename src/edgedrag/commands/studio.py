"""The touch station."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedrag.commands.family import Command
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, NO_MARK, TRACE, Engine, engine_options
from edgedrag.runtime.extras import missing_package
from edgedrag.runtime.files import user_folder
from edgedrag.runtime.trace_file import tracing

if TYPE_CHECKING:
    from edgedrag.studio.settings import Settings


# Settings that have no option.
BEYOND = ("limits", "photo_megapixels", "share_address", "station", "push_gateway")


def read_config(context: click.Context, _: click.Parameter, file: Path | None) -> dict[str, Any]:
    """Make what a settings file has the defaults of the options; returns it."""
    if file is None:
        return {}
    try:
        from edgedrag.studio.settings_file import read_settings
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", "studio") or error from error
    values = read_settings(file)
    context.default_map = {**values, "no_mark": not values.get("mark", True)}
    return values


@option_group
class Station:
    """How the touch station is served."""

    config: dict[str, Any] = option(
        "--config",
        type=FILE,
        is_eager=True,
        callback=read_config,
        help="TOML file of settings, described in docs/studio.md; options count before it.",
    )
    host: str = option(
        "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a token."
    )
    port: int = option("--port", default=8000, show_default=True, type=int, help="0 takes a free one.")
    token_file: Path | None = option(
        "--token-file", type=FILE, help="Holds what pages must show; open the page as /#token=TOKEN."
    )
    token: str | None = option(
        "--token", envvar="EDGEDRAG_STUDIO_TOKEN", help="The same, where other users cannot read command lines."
    )
    root_path: str = option("--root-path", default="", help="Where a proxy serves the station, as /retouch.")
    state: Path | None = option("--state", type=FILE, help="Folder of the records.  [default: ~/.local/state/edgedrag]")
    staff_code: str | None = option(
        "--staff-code", envvar="EDGEDRAG_STAFF_CODE", help="For /staff.  [default: generated, and stored in --state]"
    )
    idle_seconds: float = option(
        "--idle", default=120.0, show_default=True, help="Seconds without a touch until a session is wiped."
    )
    queue: int = option("--queue", default=32, show_default=True, help="Requests that may wait for the worker.")
    upload_mb: float = option("--upload-mb", default=32.0, show_default=True, help="Refuse files larger than this.")
    hang_seconds: float = option(
        "--hang", default=60.0, show_default=True, help="Seconds that one step may take; then the station restarts."
    )
    no_mark: bool = option("--no-mark", is_flag=True, help=NO_MARK)

    def settings(self, engine: Engine) -> Settings:
        """The studio's settings. Raises InputError where they make no sense."""
        from edgedrag.studio.settings import make_settings
        from edgedrag.studio.settings_file import read_token

        values = {name: value for name, value in vars(self).items() if name not in ("config", "no_mark")}
        if self.token is None and self.token_file is not None:
            values["token"] = read_token(self.token_file)
        values["state"] = self.state or user_folder("XDG_STATE_HOME", ".local/state", "/var/lib")
        beyond = {name: self.config[name] for name in BEYOND if name in self.config}
        of_edits = {name: getattr(engine, name) for name in ("max_megapixels", "steps", "seed")}
        return make_settings(**values, **beyond, **of_edits, mark=not self.no_mark)


@click.command(cls=Command, extra="studio")
@option_groups(station=Station)
@engine_options
@TRACE
def studio(station: Station, engine: Engine, trace: Path | None) -> None:
    """Serve the touch station: take a photo, put a finger on it, pull.

    \b
    edgedrag studio
    edgedrag studio --host 0.0.0.0 --token-file /etc/edgedrag/token
    """
    from edgedrag.studio.health.logs import warn
    from edgedrag.studio.health.memory import keep_one_heap
    from edgedrag.studio.serve import serve
    from edgedrag.studio.state_folder import make_state_folder

    settings = station.settings(engine)
    make_state_folder(settings.state)  # before seconds go into opening the engine
    keep_one_heap()
    with tracing(trace, "edgedrag studio", warn) as end_trace:
        runtime, _ = engine.open()
        serve(runtime, settings, end_trace)
