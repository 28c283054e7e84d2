"""What the page does with pixels (studio/static/warp.js), against OpenCV and NumPy, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from pages import chromium, kiosk, visit

from edgedrag.benchmarks.station.browser import Visitor

__all__ = ["chromium", "kiosk", "visit"]
pytestmark = pytest.mark.slow
WIDTH, HEIGHT = 90, 70
MODULE = "import('/static/warp.js')"
WARP = """async ({pixels, size, part, flow, grid, box, place, nearest}) => {
  const {warp} = await MODULE, from = Int32Array.from(pixels), to = new Int32Array(from.length);
  warp(from, to, size, part, {flow: Float32Array.from(flow), grid, box, nearest}, place);
  return [...to];
}""".replace("MODULE", MODULE)
TINT = """async ({pixels, size, part, area}) => {
  const {tint} = await MODULE, from = Int32Array.from(pixels);
  tint(from, from, size, part, Uint8Array.from(area));
  return [...from];
}""".replace("MODULE", MODULE)
OUTLINES = """async (bounded) => {
  const modules = ['stage', 'hold', 'view'].map((name) => import(`/static/${name}.js`));
  const [{Stage}, {Hold}, {View}] = await Promise.all(modules);
  const canvas = new OffscreenCanvas(220, 160), source = new OffscreenCanvas(300, 200), pen = source.getContext('2d');
  for (let i = 0; i < 60; i++) {
    pen.fillStyle = `hsl(${i * 47} 60% 50%)`;
    pen.fillRect((i * 53) % 290, (i * 37) % 190, 40, 30);
  }
  const stage = new Stage(canvas), view = new View(), shown = [];
  stage.resize(220, 160);
  stage.surround = 'black';
  view.stage = {width: 220, height: 160};
  view.open({width: 600, height: 400, view_width: 300, view_height: 200});
  view.k = 2;
  view.move({x: 90, y: 70}, {x: 84, y: 75}, 1.7);
  stage.show('picture', source.transferToImageBitmap());
  const draw = () => {
    stage.draw(view, 0);
    shown.push([...new Int32Array(stage.pen.getImageData(0, 0, 220, 160).data.buffer)]);
  };
  const outline = (...polygons) => {
    const hold = new Hold();
    hold.draw(polygons);
    if (!bounded) hold.box = [0, 0, 600, 400];
    stage.cover(hold);
    draw();
  };
  draw();
  outline([[200, 150], [340, 130], [290, 260]]);
  outline([[250, 190], [330, 200], [280, 230]], [[60, 90], [110, 60], [115, 110]]);
  const payload = new Uint8Array(64 * 5);
  new Uint16Array(payload.buffer, 0, 2 * 64).fill(0x4a00);
  stage.move({box: [180, 120, 200, 160], grid: [8, 8], payload: payload.buffer});
  draw();
  outline([[205, 155], [345, 135], [295, 265]]);
  stage.rest();
  draw();
  stage.cover(null);
  draw();
  return shown;
}"""
HALVES = f"async (bytes) => [...(await {MODULE}).fromHalves(Uint8Array.from(bytes).buffer, bytes.length / 2)]"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth[..., 3] = 255
    return smooth


def words(photo: np.ndarray) -> list[int]:
    return np.ascontiguousarray(photo).view("<i4").ravel().tolist()


def pixels(answer: list[int]) -> np.ndarray:
    return np.array(answer, "<i4").view(np.uint8).reshape(HEIGHT, WIDTH, 4)


def test_a_flow_moves_what_lies_under_its_grid(visit: Callable[..., Visitor], photo: np.ndarray) -> None:
    """A grid over a part of a photo that takes 1.5 screen pixels a pixel, against cv2.remap."""
    page = visit(opens=False).page
    grid, box, place = [12, 9], [10, 6, 40, 30], [4.0, 3.0, 1.5]
    flow = np.random.default_rng(6).uniform(-5, 5, (grid[1], grid[0], 2)).astype(np.float32)
    part = [5, 0, 80, HEIGHT]
    asked = {"pixels": words(photo), "size": [WIDTH, HEIGHT], "part": part, "box": box, "place": place}
    made = pixels(page.evaluate(WARP, {**asked, "flow": flow.ravel().tolist(), "grid": grid}))
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    in_box = [((at + 0.5 - place[axis]) / 1.5 - box[axis]) / box[axis + 2] for axis, at in enumerate((x, y))]
    at = [(share * n - 0.5).astype(np.float32) for share, n in zip(in_box, grid)]
    shift = cv2.remap(flow, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * 1.5
    within = (in_box[0] >= 0) & (in_box[0] <= 1) & (in_box[1] >= 0) & (in_box[1] <= 1)
    shift[~within] = 0
    to = [(value + shift[..., axis]).astype(np.float32) for axis, value in enumerate((x, y))]
    wanted = cv2.remap(photo, to[0], to[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = np.s_[:, part[0] : part[2]]
    assert within.mean() > 0.3 and np.abs(made[shown].astype(int) - wanted[shown]).max() <= 6
    assert np.abs(made[shown].astype(int) - wanted[shown]).mean() < 0.5
    assert not made[:, : part[0]].any() and not made[:, part[2] :].any(), "nothing beside the part"
    still = ~within[shown]
    assert np.array_equal(made[shown][still], photo[shown][still]), "what no cell covers stays to the bit"
    asked |= {"flow": flow.ravel().tolist(), "grid": grid}
    copied = pixels(page.evaluate(WARP, {**asked, "nearest": True}))
    wanted = cv2.remap(photo, np.floor(to[0] + 0.5), np.floor(to[1] + 0.5), 0, borderMode=cv2.BORDER_REPLICATE)
    assert (copied[shown] == wanted[shown]).all(-1).mean() > 0.9, "without mixing; OpenCV rounds the shift to 1/32"


def test_an_area_is_tinted_and_outlined_and_nothing_else(visit: Callable[..., Visitor], photo: np.ndarray) -> None:
    page = visit(opens=False).page
    area = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(area, (45, 35), 20, 255, -1, cv2.LINE_AA)
    asked = {"pixels": words(photo), "size": [WIDTH, HEIGHT], "part": [0, 0, WIDTH, HEIGHT]}
    made = pixels(page.evaluate(TINT, {**asked, "area": area.ravel().tolist()}))
    apart = cv2.dilate(area, np.ones((3, 3), np.uint8)) == 0
    assert np.array_equal(made[apart], photo[apart])
    mixed = photo[35, 45, :3] + 0.22 * (np.array([255, 176, 33]) - photo[35, 45, :3].astype(float))
    assert np.abs(made[35, 45, :3] - mixed).max() <= 1 and (made[..., 3] == 255).all()
    edge = np.abs(made.astype(int) - photo).sum(-1)
    assert edge[35, 65] > edge[35, 45], "its edge most"


def test_an_outline_is_drawn_where_it_is_as_if_all_were_drawn(visit: Callable[..., Visitor]) -> None:
    """Only what its box takes of the screen is drawn anew, with and without motion; the pixels are the same."""
    page = visit(opens=False).page
    drawn = [np.array(page.evaluate(OUTLINES, bounded), np.int64) for bounded in (True, False)]
    assert np.array_equal(*drawn)
    plain, *_, none = drawn[0]
    assert all((a != b).any() for a, b in zip(drawn[0], drawn[0][1:])), "each step shows something else"
    assert np.array_equal(plain, none)


def test_halves_are_read_as_numpy_writes_them(visit: Callable[..., Visitor]) -> None:
    values = np.array([0, -0.0, 1, -2.5, 1e-7, 6e-5, 65504, -0.333, 1234.5], np.float16)
    read = visit(opens=False).page.evaluate(HALVES, list(values.tobytes()))
    assert read == values.astype(np.float32).tolist()
