"""Strokes of a brush through the station's API."""

from __future__ import annotations

import json

import httpx
import numpy as np
from stations import PNG, ask, client, kiosk, line, opened, picture
from websockets.sync.client import ClientConnection

import edgedrag
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.photo.window import Window

__all__ = ["client", "kiosk"]
COFFEE = picture(PNG)


def test_strokes_of_a_brush_and_where_the_photo_comes_from(
    kiosk: Kiosk, client: httpx.Client, runtime: edgedrag.Runtime
) -> None:
    path = opened(client)
    expected = runtime.load(COFFEE)
    stroke = {"brush": "push", "path": [[300.5, 200], [330, 210], [350, 190]], "radius": 40}
    with line(kiosk, path) as connected:
        made = ask(connected, "stroke", 1, **stroke)
        change = expected.brush(**stroke)
        shown = picture(client.get(f"{path}/picture").content)
        assert np.array_equal(shown, change.image) and made["state"]["undo"] == 1
        left, top, width, height = made["box"]
        assert np.array_equal(picture(made["payload"]), change.image[top : top + height, left : left + width])
        flow = ask(connected, "flow", 2, box=[200, 100, 300, 200], grid=[75, 50])
        sent = np.frombuffer(flow["payload"], "<f4").reshape(50, 75, 2)
        assert flow["box"] == [200, 100, 300, 200] and flow["grid"] == [75, 50]
        assert np.abs(sent - expected.flow(Window(100, 200, 200, 300, (50, 75)))).max() < 1e-3 < np.abs(sent).max()
        ask(connected, "stroke", 3, **{**stroke, "brush": "grow", "strength": 0.5})
        ask(connected, "undo", 4)
        assert np.array_equal(picture(client.get(f"{path}/picture").content), change.image)
        for wrong, says in (
            ({**stroke, "brush": "paint"}, "'push', 'grow', 'shrink' or 'smooth'"),
            ({**stroke, "path": []}, "path"),
            ({**stroke, "path": [[1, 2, 3]]}, "path"),
            ({**stroke, "radius": 0}, "radius"),
            ({**stroke, "strength": 2}, "strength"),
            ({**stroke, "path": [[300, 200]]}, "two points"),
        ):
            refused = ask_raw(connected, {"type": "stroke", "id": 5, **wrong})
            assert refused["type"] == "error" and refused["code"] == "unusable" and says in refused["detail"]
        for box, grid in (([0, 0, 601, 400], [9, 9]), ([0, 0, 0, 9], [9, 9]), ([0, 0, 9, 9], [9, 100_000])):
            refused = ask_raw(connected, {"type": "flow", "id": 6, "box": box, "grid": grid})
            assert refused["type"] == "error" and refused["code"] == "unusable"
    assert client.post(f"{path}/strokes", json={**stroke, "brush": "shrink"}).json()["undo"] == 2
    assert "two points" in client.post(f"{path}/strokes", json={**stroke, "path": [[9, 9]]}).json()["detail"]


def ask_raw(connected: ClientConnection, message: dict[str, object]) -> dict[str, object]:
    """The next answer to a message, whatever its id: one that cannot be read has none."""
    connected.send(json.dumps(message))
    return json.loads(connected.recv(timeout=30))
