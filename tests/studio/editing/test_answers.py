"""Other answers to an edit; of a large photo they are made of fewer pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import EXAMPLES

import edgedrag
from edgedrag.runtime.session.candidates import run_to_end
from edgedrag.runtime.trace import recording
from edgedrag.studio.editing import answers as module
from edgedrag.studio.editing.sessions import EditParameters, Session

DRAG = [((365.0, 285.0), (378.0, 303.0))]


def asked(runtime: edgedrag.Runtime, times: int) -> Session:
    """A session with an edit, of a photo so many times larger."""
    coffee = edgedrag.load_picture(EXAMPLES / "coffee.png")
    pixels = cv2.resize(coffee.pixels[..., :3], (600 * times, 400 * times), interpolation=cv2.INTER_CUBIC)
    session = Session("one")
    run_to_end(session.open(runtime, edgedrag.Picture(pixels)))
    protected = np.zeros((400 * times, 600 * times), np.uint8)
    protected[:, : 60 * times] = 255
    run_to_end(session.paint(protected, "protect"))
    scaled = [((h[0] * times, h[1] * times), (t[0] * times, t[1] * times)) for h, t in DRAG]
    run_to_end(session.edit(EditParameters(scaled)))
    return session


def test_of_a_large_photo_they_are_those_of_the_photo_made_smaller(
    runtime: edgedrag.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = asked(runtime, 2)
    before, sizes = session.opened().image, []
    opened = module.Photo

    def counted(runtime: edgedrag.Runtime, picture: edgedrag.Picture) -> edgedrag.Photo:
        sizes.append(picture.pixels.shape[:2])
        return opened(runtime, picture)

    monkeypatch.setattr(module, "Photo", counted)
    large, small = (run_to_end(each.answers(runtime)) for each in (session, asked(runtime, 1)))
    assert sizes == [(400, 600), (400, 600)], "a quarter of a megapixel at most"
    assert (large[0].motion, large[0].answer) == (small[0].motion, small[0].answer) == ("auto", "thing")
    assert len(large) > 1 and all((large[0].small != other.small).any() for other in large[1:])
    assert np.array_equal(session.opened().image, before), "nothing is changed by looking"


def test_a_touch_waits_for_the_ground_or_for_the_graphs_and_not_for_both(runtime: edgedrag.Runtime) -> None:
    """Whatever the visitor does next is done after the step that the answers are in."""
    session = asked(runtime, 1)
    steps, turns, progress = [], session.answers(runtime), object()
    while progress is not None:
        with recording() as events:
            progress = next(turns, None)
        steps.append({event["name"] for event in events})
    assert sum("fill" in step for step in steps) >= 3 and sum("denoise" in step for step in steps) >= 3
    for step in steps:
        assert not {"fill", "condition"} <= step and not {"hold_features", "hold_answers"} <= step
