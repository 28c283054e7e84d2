"""Traces: in the format that viewers open, holding all of a drag, and never at the edit's expense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np
import pytest
from conftest import EXAMPLES
from host_device import HostBackend

from edgedrag.benchmarks.latency.profile import innermost_share
from edgedrag.runtime import trace, trace_file
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.session.edit import TOTAL
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.trace_file import TraceFile, tracing

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
DRAG = [((265, 240), (240, 248))]
CAT = EXAMPLES / "chelsea.png"

# Of the "Trace Event Format": what each kind of event that we write must have.
WHERE = {"pid": {"type": "integer", "minimum": 1}, "tid": {"type": "integer", "minimum": 1}}
NAMED = {"name": {"type": "string", "minLength": 1}, **WHERE}
TIMED = {**NAMED, "cat": {"type": "string", "minLength": 1}, "ts": {"type": "number", "minimum": 0}}


def kind(letter: str, properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    every = {**properties, "ph": {"const": letter}}
    return {
        "type": "object",
        "properties": every,
        "required": [name for name in every if name not in optional],
        "additionalProperties": False,
    }


ARGS = {"args": {"type": "object"}}
METADATA = {
    "name": {"enum": ["process_name", "thread_name"]},
    "args": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}
SCHEMA = {
    "type": "array",
    "items": {
        "oneOf": [
            kind("X", {**TIMED, **ARGS, "dur": {"type": "number", "minimum": 0}}),
            kind("b", {**TIMED, **ARGS, "id": {"type": "string"}}),
            kind("e", {**TIMED, "id": {"type": "string"}}),
            kind("M", {**WHERE, **METADATA}),
        ]
    },
}
validate = fastjsonschema.compile(SCHEMA)


def read(file: Path, cut: bool = False) -> list[dict[str, Any]]:
    """The events of a trace, checked against the format; `cut`: its closing bracket may be missing."""
    text = file.read_text()
    if cut and not text.rstrip().endswith("]"):
        text += "]"
    events = json.loads(text)
    validate(events)
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] != "M"} <= named, "every track has a name"
    assert {e["pid"] for e in events} == {e["pid"] for e in events if e["name"] == "process_name"}
    nested(events)
    return events


def nested(events: list[dict[str, Any]]) -> None:
    """Spans of a track lie within each other or apart: viewers draw nothing else rightly."""
    for track in {(e["pid"], e["tid"]) for e in events}:
        spans = [e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == track]
        spans.sort(key=lambda e: (e["ts"], -e["dur"]))
        open_until: list[float] = []
        for e in spans:
            while open_until and open_until[-1] <= e["ts"] + 1e-3:
                open_until.pop()
            assert not open_until or e["ts"] + e["dur"] <= open_until[-1] + 1e-3, e
            open_until.append(e["ts"] + e["dur"])


@pytest.fixture
def oval() -> np.ndarray:
    mask = np.zeros((300, 451), np.uint8)
    mask[170:295, 190:310] = 255
    return mask


def test_the_spans_of_a_drag_sum_to_its_total(runtime: Runtime, cat: np.ndarray, oval: np.ndarray) -> None:
    photo = runtime.load(cat)
    photo.drag(DRAG, oval)
    photo.undo()
    shares = []
    for _ in range(3):
        with trace.recording() as events:
            edit = photo.drag(DRAG, oval, steps=4)
        photo.undo()
        total = sum(e["dur"] for e in events if e["name"] == TOTAL) / 1e3
        assert total == pytest.approx(edit.timings["total"], abs=0.01)
        shares.append(innermost_share(events))
        stages = {name: sum(e["dur"] for e in events if e["cat"] in ("stage", "step") and e["name"] == name) / 1e3
                  for name in ("drag", "denoise", "decode")}  # fmt: skip
        assert stages == pytest.approx({name: edit.timings[name] for name in stages}, abs=0.01)
        assert [e["args"]["step"] for e in events if e["cat"] == "step"] == [0, 1, 2, 3]
        assert {"stage", "graph", "step", "copy", "composite", "check"} <= {e["cat"] for e in events}
        assert [e["name"] for e in events if e["cat"] == "graph"].count("denoiser") == 4
    print("share of a drag that is in its innermost spans:", [f"{share:.2%}" for share in shares])
    assert all(share <= 1.0 for share in shares)
    assert max(shares) >= 0.9, "0.98 on a quiet machine"


def test_nothing_is_recorded_and_the_same_picture_made_without_a_sink(
    runtime: Runtime, cat: np.ndarray, oval: np.ndarray
) -> None:
    assert not trace.is_on()
    assert trace.span("a", "b") is trace.span("c", "d"), "one object that does nothing"
    plain = runtime.load(cat).drag(DRAG, oval).image
    with trace.recording() as events:
        traced = runtime.load(cat).drag(DRAG, oval).image
    assert events and np.array_equal(plain, traced)
    assert not trace.is_on()


def test_a_generator_that_waits_for_its_caller_is_not_timed(runtime: Runtime, cat: np.ndarray) -> None:
    turns = runtime.load(cat).drag_steps(DRAG)
    with trace.recording() as events:
        next(turns)
        time.sleep(0.5)
        with pytest.raises(StopIteration) as finished:
            next(turns)
    edit = finished.value.value
    spans = sorted((e for e in events if e["name"] == TOTAL), key=lambda e: e["ts"])
    assert len(spans) == 3 and spans[1]["ts"] - spans[0]["ts"] - spans[0]["dur"] >= 0.5e6
    assert edit.timings["total"] == pytest.approx(sum(e["dur"] for e in spans) / 1e3, abs=0.01)
    nested(events)


def test_a_file_can_be_read_at_any_time_and_is_whole_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    with tracing(file, "a test"):
        with trace.span("outer", "stage"):
            with trace.span("inner", "graph", photo=1):
                pass
            assert [e["ph"] for e in json.loads(file.read_text() + "]")] == ["M"], "nothing is written within a span"
        assert {e["name"] for e in read(file, cut=True) if e["ph"] == "X"} == {"outer", "inner"}
        trace.waited("queue wait", "queue", time.perf_counter_ns() - 10**6)
        thread = threading.Thread(target=lambda: trace.span("else", "turn").__enter__().__exit__(), name="other")
        thread.start()
        thread.join()
    events = read(file)
    names = {e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {"a test", "MainThread", "other"}
    assert [e["ph"] for e in events if e["name"] == "queue wait"] == ["b", "e"]
    (inner,) = (e for e in events if e["name"] == "inner")
    assert inner["args"] == {"photo": 1} and inner["pid"] == os.getpid() and inner["tid"] == threading.get_native_id()


def test_a_device_has_a_track_of_its_own(tmp_path: Path, cat: np.ndarray, oval: np.ndarray) -> None:
    bundle = open_bundle("embedded")
    runtime = Runtime(bundle, Stages(bundle, HostBackend(), "fp32"))
    photo = runtime.load(cat)
    photo.drag(DRAG, oval)
    with tracing(tmp_path / "t.json", "a test"):
        photo.drag(DRAG, oval)
    events = read(tmp_path / "t.json")
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {"MainThread", "device"}
    device = [e for e in events if e["ph"] == "X" and e["tid"] == trace.DEVICE_TRACK]
    host = [e for e in events if e["ph"] == "X" and e["tid"] != trace.DEVICE_TRACK]
    graphs, again = ([e["name"] for e in track if e["cat"] == "graph"] for track in (host, device))
    assert graphs == again and "denoiser" in graphs
    assert {"upload", "download"} <= {e["name"] for e in device}


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Files of traces hold so many bytes; then the disk is full."""

    def fill(room: int) -> None:
        class Full:
            def __init__(self, file: Path, mode: str, buffering: int):
                self._file, self._left = open(file, mode, buffering), room

            def write(self, data: memoryview) -> int:
                if self._left <= 0:
                    raise OSError(28, "No space left on device")
                written = self._file.write(data[: self._left])
                self._left -= written
                return written

            @property
            def closed(self) -> bool:
                return self._file.closed

            def close(self) -> None:
                self._file.close()

        monkeypatch.setattr(trace_file, "open", Full, raising=False)

    yield fill


def test_a_disk_that_fills_up_costs_the_trace_alone(tmp_path: Path, small_disk: Callable[[int], None]) -> None:
    small_disk(1000)
    file, messages, done = tmp_path / "t.json", [], []
    with pytest.raises(InputError, match=r"t\.json: the trace cannot be written \(No space left.*results are complete"):
        with tracing(file, "a test", messages.append):
            for number in range(50):
                with trace.span("work", "stage", number=number):
                    done.append(number)
    assert len(done) == 50 and len(messages) == 1 and not list(tmp_path.iterdir())


def test_what_fails_leaves_no_trace_and_what_is_interrupted_does(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    with pytest.raises(InputError), tracing(file, "a test"):
        raise InputError("no")
    assert not file.exists()
    with pytest.raises(KeyboardInterrupt), tracing(file, "a test"), trace.span("work", "stage"):
        raise KeyboardInterrupt
    assert "work" in {e["name"] for e in read(file)}


def test_a_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "LIMIT_BYTES", 3000)
    sink = TraceFile(tmp_path / "t.json", "a test")
    trace.attach(sink)
    try:
        for _ in range(1000):
            with trace.span("work", "stage"):
                pass
    finally:
        trace.detach(sink)
        sink.close()
    read(tmp_path / "t.json")
    assert 3000 <= (tmp_path / "t.json").stat().st_size < 3500 and not sink.pending


def test_nvtx_ranges_have_the_names_of_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    ranges = types.SimpleNamespace(
        push_range=lambda message, domain, category: calls.append((message, domain, category)),
        pop_range=lambda domain: calls.append((domain,)),
    )
    monkeypatch.setattr(trace, "load_nvtx", lambda: ranges)
    with trace.span("motion", "graph"), trace.span("inner", "copy"):
        pass
    assert calls == [("motion", "edgedrag", "graph"), ("inner", "edgedrag", "copy"), ("edgedrag",), ("edgedrag",)]


def test_the_real_nvtx_takes_them() -> None:
    pytest.importorskip("nvtx", reason="nvtx is not installed")
    code = "from edgedrag.runtime import trace\nwith trace.span('a', 'graph'): print(trace.load_nvtx().__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "nvtx\n", done.stderr


def test_drag_and_batch_write_a_trace(edit_cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    done = edit_cli("drag", CAT, "--drag", "265,240:245,250", "-o", tmp_path / "out.png", "--trace", file)
    assert done.returncode == 0, done.stderr
    events = read(file)
    assert {"open", "load", "prepare", "stage", "graph", "step", "copy", "composite", "check", "encode"} <= {
        e["cat"] for e in events if e["ph"] == "X"
    }
    job = {"name": "a", "image": str(CAT), "drags": [[[265, 240], [245, 250]]]}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(job) + "\nnot json\n")
    done = edit_cli("batch", tmp_path / "jobs.jsonl", "-o", tmp_path, "--trace", file)
    assert done.returncode == 1 and (tmp_path / "a.png").exists(), "the bad job; the trace is there all the same"
    assert TOTAL in {e["name"] for e in read(file)}


@pytest.mark.parametrize("place", ["no/t.json", "", "/dev/full"])
def test_no_place_for_a_trace_is_exit_code_2_before_any_work(edit_cli: Cli, tmp_path: Path, place: str) -> None:
    file = Path(place) if place == "/dev/full" else tmp_path / place
    if place == "/dev/full" and not file.exists():
        pytest.skip("this system has no /dev/full")
    done = edit_cli("drag", CAT, "--drag", "265,240:245,250", "-o", tmp_path / "out.png", "--trace", file)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir()) and (place != "/dev/full" or file.exists())


def test_a_file_that_is_no_trace_is_not_overwritten(edit_cli: Cli, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(CAT.read_bytes())
    done = edit_cli("drag", photo, "--drag", "265,240:245,250", "-o", tmp_path / "out.png", "--trace", photo)
    assert done.returncode == 2 and "is no trace" in done.stderr
    assert photo.read_bytes() == CAT.read_bytes() and [p.name for p in tmp_path.iterdir()] == ["photo.png"]
    file = tmp_path / "t.json"
    for _ in range(2):
        with tracing(file, "a test"):
            pass
    assert len(read(file)) == 1
