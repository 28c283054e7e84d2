"""What the studio refuses and to whom: bad requests, strangers, too much at once; and what it tells nobody."""

from __future__ import annotations

import json
import select
import socket

import httpx
import numpy as np
import pytest
from stations import PNG, PULL, ask, client, kiosk, line, opened, picture, png
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.studio.station import MAX_UPLOADS

__all__ = ["client", "kiosk"]


def test_many_slow_uploads_are_busy_not_memory(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    head = f"PUT {path}/photo HTTP/1.1\r\nHost: 127.0.0.1:{kiosk.port}\r\nContent-Type: image/png\r\n"
    slow = [socket.create_connection(("127.0.0.1", kiosk.port)) for _ in range(MAX_UPLOADS + 2)]
    for connection in slow:
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"\x89PNG")
    refused, _, _ = select.select(slow, [], [], 30)  # some are answered at once: there are more than may be
    assert b" 503 " in refused[0].recv(100)
    answer = client.put(f"{path}/photo", content=PNG, headers={"Content-Type": "image/png"})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "2" and answer.json()["code"] == "busy"
    for connection in slow:
        connection.close()
    for _ in range(100):
        answer = client.put(f"{path}/photo", content=PNG, headers={"Content-Type": "image/png"})
        if answer.status_code == 200:
            break
    assert answer.status_code == 200
    assert client.get("/api/staff/health", headers=kiosk.staff).json()["errors"] == []


def test_refusals_say_what_and_why(client: httpx.Client) -> None:
    path = opened(client)
    empty = "/api/sessions/" + client.post("/api/sessions").json()["session"]
    send = {"Content-Type": "image/png"}
    cases = [
        (client.get("/api/sessions/nobody"), 404, "begin a new one"),
        (client.get("/nowhere"), 404, ""),
        (client.put("/api/sessions"), 405, ""),
        (client.post(f"{empty}/edits", json={"drags": PULL}), 409, "no photo yet"),
        (client.post(f"{path}/undo"), 409, "nothing to undo"),
        (client.get(f"{path}/mask"), 409, "no mask yet"),
        (client.post(f"{path}/edits", json={"drags": []}), 422, "drags"),
        (client.post(f"{path}/edits", json={"drags": [[[1, 2], [3, "4"]]]}), 422, "number"),
        (client.post(f"{path}/edits", content=b'{"drags": [[[1, 2], [3, NaN]]]}',
                     headers={"Content-Type": "application/json"}), 422, ""),
        (client.post(f"{path}/edits", json={"drags": PULL, "path": "/etc/passwd"}), 422, "path"),
        (client.post(f"{path}/edits", json={"drags": [[[9999, 2], [3, 4]]]}), 422, "outside the photo"),
        (client.post(f"{path}/edits", json={"drags": PULL, "steps": 1001}), 422, "steps"),
        (client.put(f"{path}/photo", content=PNG, headers={"Content-Type": "text/html"}), 415, "image/jpeg"),
        (client.put(f"{path}/photo", content=b"%PDF-1.7" + PNG, headers=send), 415, "not JPEG or PNG"),
        (client.put(f"{path}/mask", content=PNG, headers={"Content-Type": "image/webp"}), 415, "image/png"),
        (client.put(f"{path}/photo", content=PNG[:5000], headers=send), 422, "damaged"),
        (client.put(f"{path}/photo", content=b"", headers=send), 422, "empty"),
        (client.put(f"{path}/photo", content=b"\0" * 33_000_000, headers=send), 413, "at most 32 MB"),
        (client.post(f"{path}/edits", content=b" " * 70_000), 413, "at most"),
        (client.put(f"{path}/mask", content=png(np.zeros((400, 600), np.uint8)), headers=send), 422, "empty"),
        (client.put(f"{path}/mask", content=png(np.ones((3, 3), np.uint8) * 255), headers=send), 422, "600 x 400"),
        (client.post("/api/sessions", headers={"Origin": "https://evil.example"}), 403, "another site"),
        (client.get("/api/about", headers={"Host": "evil.example"}), 421, "localhost"),
        (client.get("/static/../../settings.py"), 404, ""),
        (client.get("/static/%2e%2e/settings.py"), 404, ""),
    ]  # fmt: skip
    for answer, status, why in cases:
        assert answer.status_code == status and why in answer.json()["detail"], (answer.request.url, answer.text)
    assert client.options(f"{path}/mask").headers["Allow"] == "DELETE, GET, PUT"
    assert np.array_equal(picture(client.get(f"{path}/picture").content), picture(PNG))


def test_a_body_without_a_length_is_counted(client: httpx.Client) -> None:
    path = opened(client)
    answer = client.put(f"{path}/photo", content=(b"\0" * 1_000_000 for _ in range(40)),
                        headers={"Content-Type": "image/png"})  # fmt: skip
    assert answer.status_code == 413


def test_every_answer_binds_the_browser(client: httpx.Client) -> None:
    for path in ("/", "/staff", "/static/main.js", "/healthz", "/api/nowhere", "/openapi.json"):
        headers = client.get(path).headers
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "cache-control" in headers
    for page in ("/", "/staff"):
        text = client.get(page).text
        assert "style=" not in text and " on" + "click" not in text and "<script>" not in text and "http" not in text


def test_probes_and_metrics(client: httpx.Client) -> None:
    path = opened(client)
    client.post(f"{path}/edits", json={"drags": PULL})
    assert client.get("/healthz").json() == {"status": "alive"} and client.get("/readyz").status_code == 200
    text = client.get("/metrics").text
    for name in ("edgedrag_edits_total{verdict=", "edgedrag_edit_duration_seconds_bucket", "edgedrag_queue_jobs",
                 "edgedrag_sessions", "edgedrag_drift_alarm", "process_resident_memory_bytes"):  # fmt: skip
        assert name in text, name


def test_sessions_are_separate_and_staff_need_their_code(kiosk: Kiosk, client: httpx.Client) -> None:
    one, two = opened(client), opened(client)
    client.post(f"{one}/edits", json={"drags": PULL})
    assert client.get(two).json()["undo"] == 0 and len(one.rpartition("/")[2]) >= 43
    assert client.get("/api/staff/health").status_code == 401
    health = client.get("/api/staff/health", headers=kiosk.staff).json()
    assert health["backend"] == "cpu" and health["errors"] == []
    assert [day["edits"] for day in client.get("/api/staff/days", headers=kiosk.staff).json()] == [
        len(client.get("/api/staff/edits?limit=5000", headers=kiosk.staff).json())
    ]
    settings = client.get("/api/staff/settings", headers=kiosk.staff).json()
    assert settings["idle_seconds"] == 120 and settings["limits"]["bad_share"] == 0.4
    assert not {"token", "staff_code"} & settings.keys()
    report = client.post("/api/staff/self-test", headers=kiosk.staff).json()
    assert report["passed"] and report["codes"] == [] == report["problems"]
    assert client.get("/api/staff/edits.csv", headers=kiosk.staff).text.startswith("id,at,verdict")


def test_logs_name_no_session_and_hold_no_pixels(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        ask(connected, "edit", 1, drags=PULL)
    logged = json.dumps(kiosk.lines)
    assert '"event": "edit"' in logged and path.rpartition("/")[2] not in logged


def test_a_second_page_takes_over_and_strangers_are_hung_up_on(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as first, line(kiosk, path) as second:
        with pytest.raises(ConnectionClosed) as closed:
            first.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4002
        assert ask(second, "preview", 1, drags=PULL)["type"] == "preview"
        client.delete(path)
        with pytest.raises(ConnectionClosed) as closed:
            second.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
    with pytest.raises(InvalidStatus):
        line(kiosk, path, origin="https://evil.example")
    with line(kiosk, "/api/sessions/nobody") as stranger, pytest.raises(ConnectionClosed):
        stranger.recv(timeout=10)


def test_another_address_needs_the_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    token = "a-token-of-many-letters"
    state = tmp_path_factory.mktemp("open")
    with Kiosk(state, "--host", "0.0.0.0", "--token", token) as kiosk, httpx.Client(base_url=kiosk.url) as client:
        assert client.get("/").status_code == client.get("/healthz").status_code == 200
        for path in ("/api/about", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        path = opened(client)
        with pytest.raises(InvalidStatus):
            line(kiosk, path)
        with line(kiosk, path, subprotocols=["edgedrag", f"bearer.{token}"]) as connected:
            assert connected.subprotocol == "edgedrag" and ask(connected, "preview", 1, drags=PULL)["type"] == "preview"
