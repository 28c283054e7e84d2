"""The touch station."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edgedrag.commands.options import FILE, TRACE, Engine, engine_options
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.trace_file import tracing


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need --token.")
@click.option("--port", default=8000, show_default=True, type=int, help="0 takes a free one.")
@click.option("--token", envvar="EDGEDRAG_STUDIO_TOKEN", help="What pages must show; open the page as /#token=TOKEN.")
@click.option("--state", type=FILE, help="Folder of the records.  [default: ~/.local/state/edgedrag]")
@click.option("--staff-code", envvar="EDGEDRAG_STAFF_CODE", help="For /staff.  [default: made, and kept in --state]")
@click.option("--idle", default=120.0, show_default=True, help="Seconds without a touch until a session is wiped.")
@click.option("--queue", default=32, show_default=True, help="Requests that may wait for the engine.")
@click.option("--upload-mb", default=32.0, show_default=True, help="Refuse files larger than this.")
@click.option("--hang", default=60.0, show_default=True, help="Seconds of one step until the station restarts.")
@engine_options
@TRACE
def studio(
    host: str,
    port: int,
    token: str | None,
    state: Path | None,
    staff_code: str | None,
    idle: float,
    queue: int,
    upload_mb: float,
    hang: float,
    engine: Engine,
    trace: Path | None,
) -> None:
    """Serve the touch station: take a photo, put a finger on it, pull.

    \b
    edgedrag studio
    edgedrag studio --host 0.0.0.0 --token "$(openssl rand -hex 16)"
    """
    try:
        from edgedrag.studio.health.logs import warn
        from edgedrag.studio.health.memory import keep_one_heap
        from edgedrag.studio.serve import serve
        from edgedrag.studio.settings import Settings
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: install edgedrag[studio]") from None
    settings = Settings(
        host=host,
        port=port,
        token=token,
        state=state or Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "edgedrag",
        staff_code=staff_code,
        idle_seconds=idle,
        queue=queue,
        upload_mb=upload_mb,
        max_megapixels=engine.max_megapixels,
        hang_seconds=hang,
        steps=engine.steps,
        seed=engine.seed,
    )
    settings.check()
    keep_one_heap()
    with tracing(trace, "edgedrag studio", warn) as end_trace:
        runtime, _ = engine.open()
        serve(runtime, settings, end_trace)
