"""Many stations seen together: their metrics name station, bundle, engine and version, pulled or pushed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from toy_releases import PULL, photo, toys

import edgedrag
from edgedrag.benchmarks.latency.device_report import as_text, read_reports, write
from edgedrag.benchmarks.latency.station_metrics import quantile
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.releases.install import release_name
from edgedrag.runtime.releases.switch import use
from edgedrag.studio.api.app import make_app
from edgedrag.studio.health import push
from edgedrag.studio.settings import Settings
from edgedrag.studio.station import Station

__all__ = ["toys"]


def visited(stations: list[Station], visit: Callable[..., Awaitable[None]]) -> None:
    async def run() -> None:
        try:
            await visit(*stations)
        finally:
            for station in stations:
                station.close()

    asyncio.run(run())


def make_station(folder: Path, name: str, bundle: Path | str, **settings: Any) -> Station:
    folder.mkdir()
    return Station(edgedrag.open(bundle, precision="fp32"), Settings(state=folder, station=name, **settings))


async def scraped(station: Station) -> str:
    """What Prometheus gets."""
    transport = httpx.ASGITransport(app=make_app(station))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def builds(text: str) -> list[dict[str, str]]:
    """The labels of every series of edgedrag_build_info."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return [sample.labels for sample in families["edgedrag_build_info"].samples]


def test_each_station_says_what_runs_there_also_after_a_switch(tmp_path: Path, toys: list[str]) -> None:
    async def visit(north: Station, south: Station) -> None:
        for station in (north, south):
            await station.edit(await photo(station), PULL)
        texts = {name: await scraped(station) for name, station in (("north", north), ("south", south))}
        (one,), (other,) = map(builds, texts.values())
        engine = {"backend": "cpu", "precision": "fp32", "version": edgedrag.__version__}
        assert one == {"station": "north", "bundle": "toy", "release": toys[0], **engine}
        shipped = release_name(edgedrag.open("embedded").bundle)
        assert other == {**one, "station": "south", "bundle": "embedded", "release": shipped}

        use("toy", toys[1])
        await north.follow_release()
        texts["north"] = await scraped(north)
        assert builds(texts["north"]) == [{**one, "release": toys[1]}], "the old one is gone"

        for name, text in texts.items():
            (tmp_path / f"{name}.prom").write_text(text)
        merged(tmp_path, toys[1], shipped)

    stations = {"north": "toy", "south": "embedded"}
    visited([make_station(tmp_path / name, name, bundle) for name, bundle in stations.items()], visit)


def merged(folder: Path, north: str, south: str) -> None:
    """`bench report` of both stations' files, and of the files that it wrote."""
    for name in ("north", "south"):
        write(read_reports([folder / f"{name}.prom"]), folder / name)
    fleet = read_reports([folder / "north.json", folder / "south.json", folder / "north.prom"])
    assert [each["station"] for each in fleet.stations] == ["north", "south"], "each once"
    rows = [line.split("|") for line in as_text(fleet).splitlines() if line.startswith(("| north", "| south"))]
    assert [row[4].strip() for row in rows] == [north, south]
    assert rows[0][7].strip() == "0 / 0 / 1" and rows[0][8].strip() == "100%", "the toy's only edit is bad"
    assert float(rows[1][9]) > 0 and fleet.stations[1]["edit_seconds"]["p95"] <= 30


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Where a Pushgateway would be, and the paths and bodies that it got."""
    got: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


async def pushing(station: Station, done: Callable[[], bool]) -> None:
    task = asyncio.create_task(station.push_metrics())
    for _ in range(2000):
        if done():
            break
        await asyncio.sleep(0.01)
    task.cancel()
    assert done()


def test_metrics_are_pushed_under_the_stations_name(
    tmp_path: Path, gateway: tuple[str, list[tuple[str, str]]], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got = gateway
    monkeypatch.setattr(push, "PUSH_SECONDS", 0.01)

    async def visit(station: Station) -> None:
        await pushing(station, lambda: len(got) >= 2)
        path, text = got[-1]
        assert path == "/metrics/job/edgedrag/instance/kiosk-7"
        assert builds(text)[0]["station"] == "kiosk-7"

    visited([make_station(tmp_path / "state", "kiosk-7", toy, push_gateway=address)], visit)


def test_a_gateway_that_does_not_answer_is_logged_once(
    tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tries: list[None] = []
    monkeypatch.setattr(push, "PUSH_SECONDS", 0.01)
    monkeypatch.setattr(push, "log", lambda event, *_, **__: said.append(event))

    async def visit(station: Station) -> None:
        now = station.records.metrics_now
        monkeypatch.setattr(station.records, "metrics_now", lambda: (tries.append(None), now())[1])
        await pushing(station, lambda: len(tries) >= 4)

    visited([make_station(tmp_path / "state", "kiosk-7", toy, push_gateway="http://127.0.0.1:1")], visit)
    assert said == ["metrics cannot be pushed"]


@pytest.mark.skipif(shutil.which("prometheus-pushgateway") is None, reason="needs prometheus-pushgateway, of Debian")
def test_a_pushgateway_has_all_stations_in_one_file(tmp_path: Path, toy: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"], stderr=-3)
    address = f"http://127.0.0.1:{port}"

    def text() -> str:
        try:
            return httpx.get(f"{address}/metrics").text
        except httpx.HTTPError:
            return ""

    try:
        while not text():
            assert process.poll() is None
            time.sleep(0.05)
        for name in ("north", "south"):
            station = make_station(tmp_path / name, name, toy, push_gateway=address)
            visited(
                [station], lambda station: pushing(station, lambda: f'station="{station.settings.station}"' in text())
            )
        (tmp_path / "fleet.prom").write_text(text())
        assert [each["station"] for each in read_reports([tmp_path / "fleet.prom"]).stations] == ["north", "south"]
    finally:
        process.kill()
        process.wait()


def test_files_that_are_no_stations_metrics(tmp_path: Path) -> None:
    file = tmp_path / "x.prom"
    for text, why in (
        ("# HELP a b\n# TYPE a gauge\na 1\n", "no station's metrics"),
        ("# x\na {{\n", "neither JSON nor"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=why):
            read_reports([file])


def test_quantiles_are_prometheuss() -> None:
    inf = float("inf")
    counts = [(0.5, 0.0), (1.0, 8.0), (2.0, 10.0), (inf, 10.0)]
    assert quantile(0.5, counts) == 0.8125 and quantile(0.9, counts) == 1.5
    assert quantile(0.5, [(1.0, 0.0), (inf, 4.0)]) == 1.0, "beyond the last bound"
    assert quantile(0.5, [(1.0, 0.0), (inf, 0.0)]) is None and quantile(0.5, []) is None
