"""The touch station."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedrag.commands.family import Command
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, NO_MARK, TRACE, Engine, engine_options
from edgedrag.runtime.files import user_folder
from edgedrag.runtime.trace_file import tracing

if TYPE_CHECKING:
    from edgedrag.studio.settings import Settings


@option_group
class Station:
    """How the touch station is served."""

    host: str = option(
        "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need --token."
    )
    port: int = option("--port", default=8000, show_default=True, type=int, help="0 takes a free one.")
    token: str | None = option(
        "--token", envvar="EDGEDRAG_STUDIO_TOKEN", help="What pages must show; open the page as /#token=TOKEN."
    )
    root_path: str = option("--root-path", default="", help="Where a proxy serves the station, as /retouch.")
    state: Path | None = option("--state", type=FILE, help="Folder of the records.  [default: ~/.local/state/edgedrag]")
    staff_code: str | None = option(
        "--staff-code", envvar="EDGEDRAG_STAFF_CODE", help="For /staff.  [default: generated, and stored in --state]"
    )
    idle: float = option(
        "--idle", default=120.0, show_default=True, help="Seconds without a touch until a session is wiped."
    )
    queue: int = option("--queue", default=32, show_default=True, help="Requests that may wait for the worker.")
    upload_mb: float = option("--upload-mb", default=32.0, show_default=True, help="Refuse files larger than this.")
    hang: float = option(
        "--hang", default=60.0, show_default=True, help="Seconds that one step may take; then the station restarts."
    )

    no_mark: bool = option("--no-mark", is_flag=True, help=NO_MARK)

    def settings(self, engine: Engine) -> Settings:
        """The studio's settings. Raises InputError where they make no sense."""
        from edgedrag.studio.settings import Settings

        settings = Settings(
            host=self.host,
            port=self.port,
            token=self.token,
            root_path=self.root_path,
            state=self.state or user_folder("XDG_STATE_HOME", ".local/state", "/var/lib"),
            staff_code=self.staff_code,
            idle_seconds=self.idle,
            queue=self.queue,
            upload_mb=self.upload_mb,
            max_megapixels=engine.max_megapixels,
            hang_seconds=self.hang,
            mark=not self.no_mark,
            steps=engine.steps,
            seed=engine.seed,
        )
        settings.check()
        return settings


@click.command(cls=Command, extra="studio")
@option_groups(station=Station)
@engine_options
@TRACE
def studio(station: Station, engine: Engine, trace: Path | None) -> None:
    """Serve the touch station: take a photo, put a finger on it, pull.

    \b
    edgedrag studio
    edgedrag studio --host 0.0.0.0 --token "$(openssl rand -hex 16)"
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
