"""The station's API, over real sockets."""

from __future__ import annotations

import json

import cv2
import httpx
import numpy as np
from conftest import REPOSITORY
from stations import PNG, PULL, ask, client, kiosk, line, opened, picture, png

import edgedrag
from edgedrag.benchmarks.station.load import header
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.studio.editing.sessions import UNDO_LIMIT, EditParameters, Session

__all__ = ["client", "kiosk"]
COFFEE = picture(PNG)


def disc(shape: tuple[int, ...], x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(columns - x, rows - y) < radius


def test_a_photo_goes_in_and_the_edit_comes_out(client: httpx.Client, runtime: edgedrag.Runtime) -> None:
    path = opened(client)
    mask = disc(COFFEE.shape, 370, 290, 70)
    assert client.put(f"{path}/mask", content=png(mask.astype(np.uint8) * 255),
                      headers={"Content-Type": "image/png"}).json()["mask"] == "painted"  # fmt: skip
    done = client.post(f"{path}/edits", json={"drags": PULL, "seed": 4}).json()
    after = picture(client.get(f"{path}/picture").content)
    expected = runtime.load(COFFEE).drag([((365, 285), (375, 299))], mask, seed=4)
    assert np.array_equal(after, expected.image) and np.array_equal(after[~mask], COFFEE[~mask])
    assert done["verdict"] == expected.checks.verdict and done["state"]["undo"] == 1
    assert done["state"]["mask"] == "automatic", "the painted mask is used up"
    assert np.array_equal(picture(client.get(f"{path}/mask").content) >= 128, mask)
    assert client.post(f"{path}/undo").json()["redo"] == 1
    assert np.array_equal(picture(client.get(f"{path}/picture").content), COFFEE)
    assert client.post(f"{path}/redo").json()["undo"] == 1
    assert np.array_equal(picture(client.get(f"{path}/view").content), after)
    assert np.array_equal(picture(client.get(f"{path}/view?original=true").content), COFFEE)
    moved = client.post(f"{path}/edits", json={"drags": PULL, "motion_only": True}).json()
    assert moved["steps"] == 0 and moved["state"]["undo"] == 2
    assert client.delete(path).status_code == 204 and client.get(path).status_code == 404


def test_odd_metadata_costs_no_photo_and_an_edited_one_says_so(client: httpx.Client) -> None:
    """EXIF data that can be read and not written back by most libraries."""
    data = (REPOSITORY / "tests" / "runtime" / "photo" / "cases" / "gps_ascii_rational.jpg").read_bytes()
    path = opened(client, data, "image/jpeg")
    drags = {"drags": [[[100, 100], [110, 100]]], "motion_only": True}
    assert client.post(f"{path}/edits", json=drags).status_code == 200
    for form in ("jpeg", "png", "webp"):
        answer = client.get(f"{path}/picture?format={form}")
        assert answer.status_code == 200, answer.text
        saved = edgedrag.load_picture(answer.content)
        assert saved.pixels.shape == (320, 240, 3) and b"compositeWithTrainedAlgorithmicMedia" in (saved.xmp or b"")
        assert saved.exif is not None and b"abc" in saved.exif


def test_previews_progress_results_and_undo_over_the_websocket(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        coarse = ask(connected, "preview", 0, drags=PULL, grid=32)
        assert max(coarse["grid"]) == 32 and len(coarse["payload"]) == 5 * np.prod(coarse["grid"]) and coarse["ms"] > 0
        frame = ask(connected, "preview", 1, drags=PULL)
        assert frame["box"] == coarse["box"]
        (w, h), (left, top, width, height) = frame["grid"], frame["box"]
        flow = np.frombuffer(frame["payload"], "<f2", w * h * 2).reshape(h, w, 2)
        inside = np.frombuffer(frame["payload"], np.uint8, offset=w * h * 4).reshape(h, w)
        column, row = ((np.array(PULL[0][1]) - [left, top]) * [w / width, h / height]).astype(int)
        assert inside[row, column] == 255 and not flow[inside == 0].any()
        assert np.allclose(flow[row, column].astype(float), [-10, -14], atol=3), "the target shows the handle"
        connected.send(json.dumps({"type": "edit", "id": 2, "drags": PULL}))
        progress = header(connected.recv(timeout=30))
        assert progress == {"type": "progress", "id": 2, "step": 0, "steps": 1}
        message = connected.recv(timeout=30)
        result = header(message)
        assert isinstance(message, bytes) and result["type"] == "result" and result["verdict"] == "good"
        patch = picture(message[4 + int.from_bytes(message[:4], "little") :])
        left, top, width, height = result["box"]
        now = picture(client.get(f"{path}/view").content)
        assert np.array_equal(now[top : top + height, left : left + width], patch)
        now[top : top + height, left : left + width] = COFFEE[top : top + height, left : left + width]
        assert np.array_equal(now, COFFEE), "the patch holds all that changed"
        back = ask(connected, "undo", 3)
        assert np.array_equal(picture(back["payload"]), COFFEE[top : top + height, left : left + width])
        assert ask(connected, "redo", 4)["state"]["undo"] == 1
        assert ask(connected, "redo", 5)["detail"] == "nothing to redo"


def test_a_point_gives_the_outlines_of_what_would_move(
    kiosk: Kiosk, client: httpx.Client, runtime: edgedrag.Runtime
) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        outlines = ask(connected, "hold", 1, point=PULL[0][0])["outlines"]
        expected = runtime.load(COFFEE).hold(PULL[0][0])
        assert list(outlines) == ["part", "thing", "group", "neighbourhood"]
        assert ask(connected, "hold", 3, point=PULL[0][0], answer="part")["outlines"] == {"part": outlines["part"]}
        drawn = np.zeros(COFFEE.shape[:2], np.uint8)
        cv2.fillPoly(drawn, [np.array(polygon, np.int32) for polygon in outlines[expected.name]], 1)
        held = cv2.resize(expected.on_medium(), drawn.shape[::-1]) > 0.5
        assert (held & ~(drawn > 0)).sum() < 0.03 * held.sum(), "but for holes, which outlines leave out"
        assert ask(connected, "hold", 2, point=[9999, 5])["code"] == "unusable"
        assert client.get(path).json()["undo"] == 0


def test_what_a_drag_holds_and_how_it_moves_are_made_as_asked(
    kiosk: Kiosk, client: httpx.Client, runtime: edgedrag.Runtime
) -> None:
    two = [*PULL, [[352, 262], [370, 262]]]
    for drags, motion, answer in ((PULL, "whole", "part"), (two, "stretch", "group")):
        path = opened(client)
        asked = {"drags": drags, "motion": motion, "answer": answer}
        with line(kiosk, path) as connected:
            frame = ask(connected, "preview", 1, **asked)
            expected = runtime.load(COFFEE).motion(drags, motion=motion, answer=answer)
            assert frame["box"][2:] == [expected.window.width, expected.window.height]
            assert ask(connected, "edit", 2, **asked)["type"] == "result"
        after = picture(client.get(f"{path}/picture").content)
        assert np.array_equal(after, runtime.load(COFFEE).drag(drags, motion=motion, answer=answer).image)
    assert client.post(f"{path}/edits", json={**asked, "answer": "all"}).status_code == 422


def test_other_answers_are_small_pictures_that_can_be_asked_for(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        ask(connected, "edit", 1, drags=PULL)
        made = picture(client.get(f"{path}/picture").content)
        answers = [ask(connected, "answers", 2)]
        while answers[-1]["place"] < 3:
            message = connected.recv(timeout=30)
            answers.append({**header(message), "payload": message[4 + int.from_bytes(message[:4], "little") :]})
        small = [picture(found["payload"]) for found in answers]
        assert {found["type"] for found in answers} == {"answer"} and len({image.shape for image in small}) == 1
        assert max(small[0].shape) == 256 and all((small[0] != other).any() for other in small[1:])
        assert (answers[0]["motion"], answers[0]["answer"]) == ("auto", "thing")
        assert np.array_equal(picture(client.get(f"{path}/picture").content), made), "nothing is changed by looking"
        ask(connected, "undo", 3)
        choice = {name: answers[2][name] for name in ("motion", "answer", "seed")}
        again = ask(connected, "edit", 4, drags=PULL, **choice)
        assert again["verdict"] == answers[2]["verdict"] and again["state"]["undo"] == 1
        assert (picture(client.get(f"{path}/picture").content) != made).any()


def test_a_further_edit_waits_for_the_one_that_runs(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        for number in (1, 2):
            connected.send(json.dumps({"type": "edit", "id": number, "drags": PULL}))
        answers: dict[int, dict] = {}
        while 2 not in answers:
            said = header(connected.recv(timeout=30))
            if said["type"] != "progress":
                answers[said["id"]] = said
    assert [answers[number]["state"]["undo"] for number in (1, 2)] == [1, 2]


def test_only_the_newest_preview_of_a_burst_is_made(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        for number in range(12):
            connected.send(json.dumps({"type": "preview", "id": number, "drags": PULL}))
        kinds = {}
        while 11 not in kinds:
            said = header(connected.recv(timeout=30))
            kinds[said["id"]] = said["type"]
        assert kinds[11] == "preview" and list(kinds.values()).count("cancelled") >= 8


def test_cancel_ends_the_edit_under_way(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        connected.send(json.dumps({"type": "edit", "id": 1, "drags": PULL, "steps": 40}))
        assert header(connected.recv(timeout=30))["type"] == "progress"
        connected.send(json.dumps({"type": "cancel", "id": 2}))
        ask(connected, "edit", 3, drags=[[[200, 120], [210, 125]]])
    assert client.get(path).json()["undo"] == 1


def test_large_photos_are_shown_small_and_saved_whole(kiosk: Kiosk, client: httpx.Client) -> None:
    photo = np.tile(COFFEE, (7, 9, 1))[:2500, :5001]
    path = opened(client, png(photo))
    state = client.get(path).json()
    assert (state["view_width"], state["view_height"], state["mask_width"]) == (1667, 833, 1024)
    with line(kiosk, path) as connected:
        result = ask(connected, "edit", 1, drags=[[[2510, 1210], [2550, 1240]]])
    left, top, width, height = result["box"]
    whole = picture(client.get(f"{path}/view").content)
    assert whole.shape == (833, 1667, 3)
    assert np.array_equal(whole[top : top + height, left : left + width], picture(result["payload"]))
    mask = picture(client.get(f"{path}/mask").content)
    assert mask.shape == (state["mask_height"], state["mask_width"])
    painted = client.put(f"{path}/mask", content=png(mask), headers={"Content-Type": "image/png"})
    assert painted.json()["mask"] == "painted"
    after = picture(client.get(f"{path}/picture").content)
    rows, columns = np.nonzero((after != photo).any(-1))
    assert left * 3 <= columns.min() and columns.max() < (left + width) * 3 and rows.max() <= (top + height) * 3


def test_the_history_drops_its_oldest_edit_alone(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    session = Session("one")
    list(session.open(runtime, edgedrag.Picture(cat)))
    edits = [
        EditParameters([((265.0, 240.0), (260.0 - k % 3, 243.0))], motion_only=True) for k in range(UNDO_LIMIT + 1)
    ]
    for parameters in edits[:-1]:
        list(session.edit(parameters))
    full = session.opened().image
    assert session.undo_count == UNDO_LIMIT
    list(session.edit(edits[-1]))
    assert session.undo_count == UNDO_LIMIT
    list(session.undo())
    assert np.array_equal(session.opened().image, full)


def test_protected_parts_stay_and_painted_ones_are_restored(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    left = np.zeros(COFFEE.shape[:2], np.uint8)
    left[:, : PULL[0][0][0]] = 255
    png_type = {"Content-Type": "image/png"}
    state = client.put(f"{path}/mask?use=protect", content=png(left), headers=png_type).json()
    assert state["protected"] and state["mask"] == "automatic"
    shown = picture(client.get(f"{path}/mask?use=protect").content)
    assert np.array_equal(shown >= 128, left > 0)
    with line(kiosk, path) as connected:
        ask(connected, "edit", 1, drags=PULL)
        after = picture(client.get(f"{path}/picture").content)
        assert np.array_equal(after[left > 0], COFFEE[left > 0]) and (after != COFFEE).any()
        assert not client.delete(f"{path}/mask?use=protect").json()["protected"]
        ask(connected, "edit", 2, drags=PULL)
        edited = picture(client.get(f"{path}/picture").content)
        client.put(f"{path}/mask?use=restore", content=png(left), headers=png_type)
        back = ask(connected, "restore", 3)
        restored = picture(client.get(f"{path}/picture").content)
        assert np.array_equal(restored[left > 0], COFFEE[left > 0]) and back["state"]["undo"] == 3
        assert np.array_equal(restored[left == 0], edited[left == 0])
        ask(connected, "restore", 4)
        assert np.array_equal(picture(client.get(f"{path}/picture").content), COFFEE), "everything"
        ask(connected, "undo", 5)
        assert np.array_equal(picture(client.get(f"{path}/picture").content), restored)


def test_of_a_large_photo_a_draft_comes_before_the_result(kiosk: Kiosk, client: httpx.Client) -> None:
    large = cv2.resize(COFFEE[..., :3], (1800, 1200), interpolation=cv2.INTER_CUBIC)
    path = opened(client, png(large))
    pull = [[[1095, 855], [1134, 909]]]
    with line(kiosk, path) as connected:
        connected.send(json.dumps({"type": "edit", "id": 1, "drags": pull, "screen": 900}))
        kinds = []
        while "result" not in kinds:
            message = connected.recv(timeout=30)
            said = header(message)
            kinds.append(said["type"])
            if said["type"] == "draft":
                size = int.from_bytes(message[:4], "little")
                shown, box = picture(message[4 + size :]), said["box"]
        assert kinds == ["progress", "draft", "result"] and said["state"]["undo"] == 1
        view = picture(client.get(f"{path}/view").content)
        left, top, width, height = box
        assert 0 <= left and left + width <= view.shape[1] and 0 <= top and top + height <= view.shape[0]
        rows, columns = slice(round(top), round(top + height)), slice(round(left), round(left + width))
        wanted = cv2.resize(view[rows, columns, :3], shown.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(shown.astype(int) - wanted).mean() < 3
        connected.send(json.dumps({"type": "edit", "id": 2, "drags": pull, "screen": 1800}))
        assert header(connected.recv(timeout=30))["type"] == "progress"
        assert header(connected.recv(timeout=30))["type"] == "result", "as large as the photo it would not be sooner"


def test_a_picture_that_is_asked_for_has_the_edit_under_way(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    with line(kiosk, path) as connected:
        connected.send(json.dumps({"type": "edit", "id": 1, "drags": PULL}))
        assert header(connected.recv(timeout=30))["type"] == "progress"
        assert (picture(client.get(f"{path}/picture").content) != COFFEE).any()
