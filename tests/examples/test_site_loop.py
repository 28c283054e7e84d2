"""The site's loop from kept edits to a rollback. `learn finetune` and `bundle calibrate` have tests of their own:
here their results are there already, as in a round that was stopped after them and started again."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import EXAMPLES, REPOSITORY, rewrite_manifest
from minisign import KEY

import edgedrag
from edgedrag.runtime.bundle.manifest import find_bundle
from edgedrag.studio.editing.sessions import EditParameters
from edgedrag.studio.settings import Settings
from edgedrag.studio.station import Station

SCRIPT = EXAMPLES / "site_loop.py"
GOLDEN = REPOSITORY / "tests" / "golden"
SIGNER = f"{sys.executable} {REPOSITORY / 'tests' / 'minisign.py'}"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def small_golden(folder: Path, names: tuple[str, ...]) -> Path:
    """A few of the golden set's photos."""
    folder.mkdir()
    rows = [row for row in json.loads((GOLDEN / "golden.json").read_text()) if Path(row["photo"]).stem in names]
    (folder / "golden.json").write_text(json.dumps(rows))
    for row in rows:
        shutil.copy(GOLDEN / row["photo"], folder)
    return folder


async def keep_bad_edits(station: Station, name: str, count: int) -> None:
    """A visitor's edit of a photo that turns out bad, so many times, kept by staff."""
    station.records.review.turn_pixels(True)
    rows = {row["photo"]: row for row in json.loads((GOLDEN / "golden.json").read_text())}
    ((hx, hy, tx, ty),) = rows[f"{name}.jpg"]["drags"]
    for seed in range(count):
        session = station.sessions.begin()
        await station.open_photo(session, (GOLDEN / f"{name}.jpg").read_bytes())
        edited = await station.edit(session, EditParameters([((hx, hy), (tx, ty))], seed=seed))
        assert edited.edit.checks.verdict == "bad"
        station.records.review.keep(station.records.review.held()[0].name)
        station.end(session)


class Metrics(BaseHTTPRequestHandler):
    """What a station's /metrics answers."""

    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def watched() -> Any:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_kept_edits_become_a_release_that_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed; the extra [releases] brings it")
    monkeypatch.setenv("EDGEDRAG_BUNDLES", str(tmp_path / "bundles"))
    for folder in ("state", "clips", "round/tuned.work"):
        (tmp_path / folder).mkdir(parents=True)
    round_ = tmp_path / "round"
    for name in ("tuned", "release"):
        shutil.copytree(find_bundle("embedded"), round_ / name, copy_function=os.link)
    (round_ / "release" / "bundle.json").unlink()
    shutil.copy(find_bundle("embedded") / "bundle.json", round_ / "release")
    rewrite_manifest(round_ / "release", lambda manifest: manifest.update(version="7.0.0-site"))
    (round_ / "tuned.work" / "figures.json").write_text('{"iou_before": 0.5, "iou_after": 0.6}')
    golden = small_golden(tmp_path / "golden", ("cup", "coin"))

    async def visit() -> None:
        station = Station(edgedrag.open("embedded"), Settings(state=tmp_path / "state"))
        try:
            await keep_bad_edits(station, "helmet", 4)
            options = ("--golden", golden, "--sign", SIGNER, "--install", KEY)
            made = run("release", tmp_path / "clips", tmp_path / "state" / "kept", "-o", round_, *options)
            assert made.returncode == 0, made.stderr
            release = made.stdout.split()[-1]
            figures = json.loads((round_ / "figures.json").read_text())
            assert figures["before"]["site"]["edits"] == 1 and figures["after"]["golden"]["edits"] == 2
            assert figures["before"] == figures["after"], "the networks are the same"

            await station.follow_release()
            assert station.runtime.bundle.folder == tmp_path / "bundles" / "embedded" / release
            session = station.sessions.begin()
            await station.open_photo(session, (GOLDEN / "cup.jpg").read_bytes())
            await station.edit(session, EditParameters([((130.0, 120.0), (140.0, 112.0))]))
            Metrics.text = station.records.metrics_text()
            assert run("watch", watched, "embedded", release).stdout == "no drift\n"

            Metrics.text = Metrics.text.replace(b"edgedrag_drift_alarm 0.0", b"edgedrag_drift_alarm 1.0")
            drifted = run("watch", watched, "embedded", release)
            assert drifted.returncode == 1 and f"{release} was taken back" in drifted.stderr
            await station.follow_release()
            assert station.runtime.bundle.folder == find_bundle("embedded") and session.runtime is not station.runtime
            assert "does not serve any more" in run("watch", watched, "embedded", release).stdout
        finally:
            station.close()

    asyncio.run(visit())


@pytest.fixture
def script() -> dict[str, Any]:
    """The script's functions; they look each other up here."""
    return runpy.run_path(str(SCRIPT))["release"].callback.__globals__


def figures(site: tuple[int, float], golden: tuple[int, float], psnr_db: float = 45.0) -> dict[str, Any]:
    def part(values: tuple[int, float]) -> dict[str, float]:
        return {"edits": 10, "bad": values[0], "risk": values[1]}

    before = {"site": part((3, 0.5)), "golden": part((2, 0.3))}
    rows = [{"precision": "int8", "psnr_db": psnr_db, "stlpips": 0.001}]
    return {"before": before, "after": {"site": part(site), "golden": part(golden)}, "precision": rows}


def test_the_gate_names_the_first_figure_that_is_worse(script: dict[str, Any]) -> None:
    refusal: Callable[[dict[str, Any]], str | None] = script["refusal"]
    assert refusal(figures((3, 0.51), (2, 0.3))) is None
    assert refusal(figures((4, 0.5), (2, 0.3))) == "4 of 10 edits of the site set are bad, 3 before"
    assert refusal(figures((0, 0.1), (3, 0.3))) == "3 of 10 edits of the golden set are bad, 2 before"
    assert refusal(figures((0, 0.1), (2, 0.35))) == "the mean risk of the golden set's edits is 0.35, 0.3 before"
    assert "int8 is 30.0 dB" in str(refusal(figures((0, 0.1), (2, 0.3), 30.0)))


def test_what_fails_the_gate_or_cannot_be_signed_is_no_release(script: dict[str, Any], tmp_path: Path) -> None:
    for folder in ("clips", "kept", "round/tuned", "round/tuned.work", "round/release"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "round" / "tuned.work" / "figures.json").write_text("{}")
    job = '{"name": "a", "image": "a.png", "mask": "m.png", "drags": []}\n'
    (tmp_path / "kept" / "jobs.jsonl").write_text(job * 4)
    folders = [str(tmp_path / "clips"), str(tmp_path / "kept"), "-o", str(tmp_path / "round")]
    for bad, why in ((4, "refused: 4 of 10 edits of the site set are bad"), (0, "not signed: [Errno 2]")):
        script["measure"] = lambda *_, bad=bad: figures((bad, 0.5), (2, 0.3))
        result = CliRunner().invoke(script["main"], ["release", *folders, "--sign", "no-such-command"])
        assert result.exit_code == 1 and result.output.startswith(why)
        assert {entry.name for entry in (tmp_path / "round").iterdir()} == {
            "tuned", "tuned.work", "release", "figures.json"
        }  # fmt: skip


def test_what_staff_did_not_keep_enough_of(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    options = ("-o", tmp_path / "round", "--sign", "true")
    none = run("release", tmp_path, tmp_path / "kept", *options)
    assert none.returncode == 1 and "cannot be read as a station's kept edits" in none.stderr
    (tmp_path / "kept" / "jobs.jsonl").write_text('{"name": "a", "image": "a.png", "mask": "m.png", "drags": []}\n')
    few = run("release", tmp_path, tmp_path / "kept", *options)
    assert few.stderr.strip().endswith("1 kept edits; a round takes at least 4") and not (tmp_path / "round").exists()


def test_a_station_that_does_not_answer(watched: str) -> None:
    Metrics.text = b"hello"
    assert "not a station" in run("watch", watched, "embedded", "x").stderr
    assert "no metrics" in run("watch", "http://127.0.0.1:1", "embedded", "x").stderr
