"""Links by which a visitor takes the picture along."""

from __future__ import annotations

from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from stations import PULL, client, kiosk, opened, picture, png

from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.studio.api.shares import SECONDS, Shares
from edgedrag.studio.editing.sessions import Session

__all__ = ["client", "kiosk"]


def test_without_an_address_there_are_no_links(client: httpx.Client) -> None:
    answer = client.post(f"{opened(client)}/share")
    assert answer.status_code == 409 and "share_address" in answer.json()["detail"]
    assert not client.get("/api/about").json()["shares"]
    assert client.get("/take/something").status_code == 404


def test_a_link_gives_the_picture_of_then_until_the_session_ends(tmp_path: Path) -> None:
    pytest.importorskip("segno", reason="needs segno, of the extra [studio]")
    (tmp_path / "studio.toml").write_text('share_address = "http://192.168.1.20:8000/"\n')
    with Kiosk(tmp_path / "state", "--config", str(tmp_path / "studio.toml")) as running:
        with httpx.Client(base_url=running.url, timeout=30) as client:
            path = opened(client)
            client.post(f"{path}/edits", json={"drags": PULL})
            edited = client.get(f"{path}/picture?format=jpeg").content
            see_through = opened(client, png(np.full((64, 80, 4), 128, np.uint8)))
            of_it = client.post(f"{see_through}/share").json()["url"].rpartition("/")[2]
            assert client.get(f"/take/{of_it}").headers["content-type"] == "image/png", "JPEG holds no transparency"
            link = client.post(f"{path}/share").json()
            client.post(f"{path}/undo")
            assert link["url"].startswith("http://192.168.1.20:8000/take/") and link["seconds"] == SECONDS
            rows = np.array([[dark == "0" for dark in row] for row in link["code"]], np.uint8) * 255
            code = cv2.resize(np.pad(rows, 4, constant_values=255), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
            assert cv2.QRCodeDetector().detectAndDecode(code)[0] == link["url"], "a camera reads it"
            taken = client.get(link["url"].removeprefix("http://192.168.1.20:8000"))
            assert taken.headers["content-type"] == "image/jpeg" and np.array_equal(
                picture(taken.content), picture(edited)
            )
            client.delete(path)
            assert client.get(link["url"].removeprefix("http://192.168.1.20:8000")).status_code == 404


def test_a_link_ends_by_time_and_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shares, session, now = Shares(), Session("one"), 100.0
    monkeypatch.setattr("edgedrag.studio.api.shares.time.monotonic", lambda: now)
    first, second = shares.add(session, b"1"), shares.add(session, b"2")
    assert shares.find(first) is None and shares.find(second) == b"2"
    now += SECONDS + 1
    assert shares.find(second) is None and len(second) >= 20
