"""A start deletes only what the station wrote, and bad files of the state folder are a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from unprivileged import unprivileged

from edgedrag.runtime.errors import InputError
from edgedrag.studio.records.review import Review
from edgedrag.studio.serve import prepared
from edgedrag.studio.settings import Settings
from edgedrag.studio.state_folder import held, make_state_folder

DRAG = [((10.0, 10.0), (14.0, 10.0))]
PIXELS = np.random.default_rng(3).integers(0, 255, (40, 40, 3), dtype=np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def keep_one(folder: Path) -> str:
    """Hold a bad edit and keep it; its name."""
    review = Review(folder / "kept")
    review.turn_pixels(True)
    review.offer(PIXELS, PIXELS[::-1].copy(), np.ones((40, 40), bool), DRAG, 0, ())
    name = review.held()[0].name
    review.keep(name)
    return name


def start(folder: Path) -> str:
    code = prepared(Settings(state=folder)).staff_code
    assert code is not None
    return code


def test_a_start_leaves_all_that_others_wrote(tmp_path: Path) -> None:
    start(tmp_path)
    keep_one(tmp_path)
    for name in (
        ".config.json",
        ".x.partial",
        "notes.txt",
        ".edgedrag-notes",
        "kept/.hidden.file",
        "kept/pairs/mine/before.png",
        "kept/pairs/.mine/before.png",
        ".a.folder/file",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"somebody's")
    before = contents(tmp_path)
    start(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "what", ["missing", "renamed", "emptied", "garbage", "rewritten", "other encoding", "a folder"]
)
def test_what_happens_to_the_list_never_costs_a_pair(tmp_path: Path, what: str) -> None:
    first = keep_one(tmp_path)
    jobs = tmp_path / "kept" / "jobs.jsonl"
    pairs = {name: data for name, data in contents(tmp_path).items() if "/pairs/" in name}
    changed = {
        "emptied": b"",
        "garbage": b"\xff\xfe{half",
        "rewritten": json.dumps({"name": "mine", "image": "x.png", "drags": []}, indent=2).encode(),
        "other encoding": jobs.read_text().encode("utf-16"),
    }.get(what)
    if what == "renamed":
        jobs.rename(jobs.with_name("november.jsonl"))
    elif what in ("missing", "a folder"):
        jobs.unlink()
    if what == "a folder":
        jobs.mkdir()
    if changed is not None:
        jobs.write_bytes(changed)
    start(tmp_path)
    assert pairs.items() <= contents(tmp_path).items()
    if what == "a folder":
        with pytest.raises(InputError, match="cannot be written to"):
            keep_one(tmp_path)
        assert Review(tmp_path / "kept").kept() == 0
        return
    second = keep_one(tmp_path)
    lines = jobs.read_bytes()
    assert lines.startswith(changed or b"") and json.loads(lines.splitlines()[-1])["name"] == second != first
    assert pairs.items() <= contents(tmp_path).items() and Review(tmp_path / "kept").kept() >= 1


def test_edits_that_are_kept_at_once_are_all_listed(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    review = Review(tmp_path / "kept")
    review.turn_pixels(True)
    for _ in range(8):
        review.offer(PIXELS, PIXELS, np.ones((40, 40), bool), DRAG, 0, ())
    names = [edit.name for edit in review.held()]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(review.keep, names))
    assert review.kept() == 8 and not review.held()
    with pytest.raises(InputError, match="not held any more"):
        review.keep(names[0])


KEEPS = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
import test_state_folder
from edgedrag.studio.records import review
review.move_folder = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
test_state_folder.keep_one(Path(sys.argv[1]))
"""


def test_a_pair_that_was_half_written_is_gone_after_a_start(tmp_path: Path) -> None:
    keep_one(tmp_path)
    before = contents(tmp_path)
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", KEEPS, str(tmp_path), str(tests), str(tests / "studio")])
    assert done.returncode == -signal.SIGKILL and len(contents(tmp_path)) > len(before)
    start(tmp_path)
    assert contents(tmp_path).keys() == {*before, "staff-code"} and before.items() <= contents(tmp_path).items()


@pytest.mark.parametrize("empty", [b"", b"\n", b" \r\n", b"\0" * 17])
def test_an_empty_staff_code_is_made_anew(tmp_path: Path, empty: bytes) -> None:
    file = tmp_path / "staff-code"
    file.write_bytes(empty)
    code = start(tmp_path)
    assert len(code) >= 16 and file.read_text().strip() == code == start(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "text", [b"short", b"\xff\xfe\x00bad text, no code", b"two codes of length\nin one file of it", b"a b" * 9]
)
def test_a_staff_code_of_bad_text_is_a_sentence(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "staff-code").write_bytes(text)
    with pytest.raises(InputError, match=r"holds no staff code.*delete the file"):
        start(tmp_path)
    assert (tmp_path / "staff-code").read_bytes() == text


def test_a_staff_code_that_is_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "staff-code").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        start(tmp_path)


def test_a_staff_code_that_only_others_can_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "staff-code").write_text("a-code-of-somebody")
    (tmp_path / "staff-code").chmod(0)
    script = f"from edgedrag.studio.state_folder import *; staff_code(Path({str(tmp_path)!r}) / 'staff-code')"
    done = unprivileged([sys.executable, "-c", script])
    assert "InputError" in done.stderr and "cannot be read (Permission denied)" in done.stderr


def test_a_folder_is_held_by_one_station(tmp_path: Path) -> None:
    make_state_folder(tmp_path / "state")
    with held(tmp_path / "state"):
        with pytest.raises(InputError, match="another station uses it"), held(tmp_path / "state"):
            pass
    with held(tmp_path / "state"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(("name", "content"), [("staff-code", b"\xff\xfe"), ("monitor.sqlite", None)])
def test_the_command_says_it_and_exits_with_2(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-m", "edgedrag", "studio", "--port", "0", "--state", str(tmp_path)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as ran:
        assert ran.stderr is not None
        said = ran.stderr.read()
        assert ran.wait(60) == 2 and said.splitlines()[-1].startswith(f"error: {tmp_path / name}: ")
        assert "Traceback" not in said
