"""The device backends' logic on the host's memory: what is bound, copied, recorded, loaded and released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from host_device import HostBackend, HostDevice

import edgedrag
from edgedrag.runtime.backends.device.buffers import Buffers
from edgedrag.runtime.backends.device.recordings import LIMIT, Recordings
from edgedrag.runtime.backends.device.residency import Residency
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.session.runtime import Runtime

DRAGS = [((265, 240), (240, 248))]
OTHER = [((230, 220), (236, 232))]
TWO = [*DRAGS, ((230, 230), (215, 240))]


def on_host(bundle: str | Path, backend: HostBackend) -> Runtime:
    opened = open_bundle(bundle)
    return Runtime(opened, Stages(opened, backend, "fp32"))


@pytest.fixture(scope="module")
def exact() -> edgedrag.Runtime:
    return edgedrag.open(backend="cpu", precision="fp32")


def test_drags_are_what_the_cpu_makes_of_them_to_the_byte(exact: edgedrag.Runtime, cat: np.ndarray) -> None:
    backend = HostBackend()
    photo, truth = on_host("embedded", backend).load(cat), exact.load(cat)
    for drags, steps in ((DRAGS, None), (DRAGS, 4), (TWO, 2), (OTHER, 1), (DRAGS, 4)):
        found, expected = photo.drag(drags, steps=steps), truth.drag(drags, steps=steps)
        assert np.array_equal(found.image, expected.image), (drags, steps)
        assert np.array_equal(photo.undo().image, truth.undo().image)


def test_the_second_drag_allocates_nothing_and_replays_one_recording_a_graph(cat: np.ndarray) -> None:
    backend = HostBackend()
    photo = on_host("embedded", backend).load(cat)
    allocations = []
    for turn in range(8):
        photo.drag([((265, 240), (240 + turn, 248))], np.ones(cat.shape[:2], np.uint8), steps=4)
        photo.undo()
        allocations.append(backend.host.allocations)
    assert allocations[-1] == allocations[3], "memory is used again"
    recorded = backend.host.records
    photo.drag(DRAGS, np.ones(cat.shape[:2], np.uint8), steps=4)
    assert backend.host.records == recorded, "recordings are used again"


def test_the_denoiser_is_recorded_once_for_all_steps(cat: np.ndarray) -> None:
    backend = HostBackend()
    photo = on_host("embedded", backend).load(cat)
    photo.drag(DRAGS, steps=8)
    assert backend.host.records == 1


def test_drags_that_take_turns_do_not_write_over_each_other(exact: edgedrag.Runtime, cat: np.ndarray) -> None:
    runtime = on_host("embedded", HostBackend())
    photos = [runtime.load(cat), runtime.load(cat[:, ::-1].copy())]
    runs = [photo.drag_steps(drags, steps=4) for photo, drags in zip(photos, (DRAGS, OTHER))]
    edits: list[edgedrag.Edit] = []
    while len(edits) < 2:
        for run in runs:
            try:
                next(run)
            except StopIteration as finished:
                edits.append(finished.value)
    truth = [exact.load(cat), exact.load(cat[:, ::-1].copy())]
    for edit, photo, drags in zip(edits, truth, (DRAGS, OTHER)):
        assert np.array_equal(edit.image, photo.drag(drags, steps=4).image)


def test_a_loop_with_a_guidance_pair_and_a_branch_of_one(toy: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    drags = [((60, 60), (70, 64))]
    found = on_host(toy, HostBackend()).load(picture).drag(drags).image
    assert np.array_equal(found, edgedrag.open(toy, "cpu").load(picture).drag(drags).image)


def test_under_a_budget_the_reference_stage_goes_first(exact: edgedrag.Runtime, cat: np.ndarray) -> None:
    backend, mask = HostBackend(budget=9000, weight=1000), np.ones(cat.shape[:2], np.uint8)  # nine of ten engines
    photo = on_host("embedded", backend).load(cat)
    photo.drag(DRAGS, mask)
    held = ["hold_features", "hold_answers"] * 3  # at three sizes
    assert backend.loads == [*held, "encoder", "condition", "denoiser", "decoder"]
    photo.undo()
    edit = photo.drag(OTHER, mask)
    assert len(backend.loads) == 10, "the encoder went; a second drag needs nothing of it"
    assert np.array_equal(edit.image, exact.load(cat).drag(OTHER, mask).image)
    on_host("embedded", backend).load(cat[::-1].copy()).drag(DRAGS, mask)
    assert "encoder" in backend.loads[10:], "a new photo's encoder takes one place, and gives it back"


def test_when_the_device_is_full_networks_make_room_for_buffers(exact: edgedrag.Runtime, cat: np.ndarray) -> None:
    plenty = HostBackend()
    on_host("embedded", plenty).load(cat).drag(DRAGS)
    buffers = plenty.workspace.buffers.held_bytes
    tight = HostBackend(capacity=buffers + 3_000_000, weight=1_000_000)
    runtime = on_host("embedded", tight)
    assert np.array_equal(runtime.load(cat).drag(DRAGS).image, exact.load(cat).drag(DRAGS).image)
    assert tight.host.weights <= 5_000_000, "half of what ten engines take"


def test_too_little_memory_is_said_in_numbers(cat: np.ndarray) -> None:
    """First by a warning, as a drag goes on without the hold's graphs, then by an error of the generator's."""
    for backend, words in (
        (HostBackend(budget=5_000_000, weight=9_000_000), r"takes 9 MB of device memory, the budget is 5 MB"),
        (HostBackend(capacity=1_000_000), r"out of memory on the device: \d+ MB are needed"),
    ):
        photo = on_host("embedded", backend).load(cat)
        with pytest.warns(RuntimeWarning, match=rf"GrabCut answers .*{words}"):
            with pytest.raises(EngineError, match=words) as caught:
                photo.drag(DRAGS)
        assert caught.value.code == "out-of-memory"


def test_buffers_come_back_in_the_order_they_were_given() -> None:
    buffers = Buffers(HostDevice(), lambda: False)
    first, second = buffers.take("a", (4,), "float32"), buffers.take("a", (4,), "float32")
    addresses = [first.address, second.address]
    del first, second
    again = [buffers.take("a", (2, 2), "float32"), buffers.take("a", (4,), "float32")]
    assert [a.address for a in again] == addresses
    assert buffers.take("b", (4,), "float32").address not in addresses, "another owner's"


class Counted:
    """Something that can be recorded, and counts how it runs."""

    def __init__(self) -> None:
        self.device, self.direct, self.replayed = HostDevice(), 0, 0

    def work(self) -> None:
        recording = self.device.is_recording
        self.direct += not recording
        self.device.put(lambda: setattr(self, "replayed", self.replayed + recording))


def signature(*addresses: int) -> tuple[tuple[str, int, tuple[int, ...]], ...]:
    return tuple((f"t{n}", address, (1,)) for n, address in enumerate(addresses))


def test_a_recording_is_dropped_with_its_buffers_and_not_replayed_on_other_shapes() -> None:
    counted = Counted()
    recordings = Recordings(counted.device)
    for _ in range(3):
        recordings.run(signature(256, 512), counted.work)
    assert (counted.direct, counted.replayed, recordings.recorded) == (1, 2, 1)
    recordings.run((("t0", 256, (2,)), ("t1", 512, (1,))), counted.work)
    assert counted.direct == 2, "another shape on the same addresses"
    recordings.forget(512)
    assert recordings.recorded == 0
    recordings.run(signature(256, 512), counted.work)
    assert counted.direct == 3, "run directly again before it is recorded again"
    for n in range(LIMIT + 2):
        recordings.run(signature(n), counted.work)
        recordings.run(signature(n), counted.work)
    assert recordings.recorded == LIMIT


def test_what_cannot_be_recorded_runs_all_the_same() -> None:
    counted = Counted()

    def refuse(work: Callable[[], None]) -> None:
        raise EngineError("not permitted when the stream is capturing", Code.CUDA_ERROR)

    counted.device.record = refuse  # type: ignore[method-assign, assignment]
    recordings = Recordings(counted.device)
    for _ in range(3):
        recordings.run(signature(256), counted.work)
    assert counted.direct == 3


class Weights:
    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


def test_the_longest_unused_network_is_released_first() -> None:
    residency = Residency(budget=30)
    first, second, third = (residency.load(name, 10, Weights) for name in "abc")
    residency.find("a")
    residency.load("d", 10, Weights)
    assert (first.released, second.released, third.released) == (False, True, False)  # type: ignore[attr-defined]
    assert residency.held_bytes == 30
    assert residency.find("b") is None
    residency.load("e", 10, Weights, seldom=True)
    residency.load("f", 10, Weights)
    assert residency.find("e") is None, "what runs once a photo goes before what is older"
