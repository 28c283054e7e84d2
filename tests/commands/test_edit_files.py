"""The files around a drag: which may not be one, what was left out, and the mark of an edited picture."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import EXAMPLES, REPOSITORY

import edgedrag
from edgedrag.cli import cli

CAT = EXAMPLES / "chelsea.png"
DRAG = ["--drag", "265,240:245,250"]
CASES = REPOSITORY / "tests" / "runtime" / "photo" / "cases"
SOURCE_TYPE = b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def test_two_pictures_into_one_file_are_refused(tmp_path: Path) -> None:
    one, link = tmp_path / "one.png", tmp_path / "link.png"
    one.write_bytes(b"kept")
    link.symlink_to(one)
    pairs = [("-o", "--sheet"), ("-o", "--mask-out"), ("--sheet", "--mask-out")]
    for first, second in pairs:
        for other in (one, link, tmp_path / "." / "one.png", tmp_path / "new" / ".." / "one.png"):
            (tmp_path / "new").mkdir(exist_ok=True)
            done = CliRunner().invoke(cli, ["drag", str(CAT), *DRAG, first, str(one), second, str(other)])
            assert isinstance(done.exception, edgedrag.InputError), (first, second, other)
            assert "two of the pictures to write would go there" in str(done.exception)
    assert one.read_bytes() == b"kept"


@pytest.mark.parametrize("option", ["-o", "--sheet", "--mask-out"])
def test_the_photo_and_the_mask_are_kept(tmp_path: Path, option: str) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    shutil.copy(CAT, photo)
    edgedrag.save_picture(mask, np.ones((300, 451), bool))
    for file, what in ((photo, "photo"), (mask, "mask")):
        before = file.read_bytes()
        done = CliRunner().invoke(cli, ["drag", str(photo), *DRAG, "--mask", str(mask), option, str(file)])
        assert isinstance(done.exception, edgedrag.InputError)
        assert f"is the {what} itself, which is kept" in str(done.exception)
        assert file.read_bytes() == before


def test_what_is_left_out_is_a_warning_and_no_error(tmp_path: Path) -> None:
    out, mask = tmp_path / "out.jpg", tmp_path / "mask.png"
    edgedrag.save_picture(mask, np.ones((240, 320), bool))
    arguments = ["drag", str(CASES / "exif_70k.png"), "--drag", "100,100:110,100", "--mask", str(mask), "-o", str(out)]
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert any("MakerNote of its 70056 bytes of EXIF data is left out" in line for line in warnings)
    assert f"warning: {mask}: is the whole photo, so all of it may change" in warnings
    json.loads(done.stdout)


@pytest.mark.parametrize("name", ["gps_ascii_rational.jpg", "icc_short.jpg", "itxt_2mb_z.png"])
def test_photos_with_odd_metadata_are_edited(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.png"
    done = CliRunner().invoke(cli, ["drag", str(CASES / name), "--drag", "100,100:110,100", "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    assert SOURCE_TYPE in (edgedrag.load_picture(out).xmp or b"")


def test_an_edited_file_says_so_unless_it_is_told_not_to(tmp_path: Path) -> None:
    job = {"name": "a", "image": str(CAT), "drags": [[[265, 240], [245, 250]]]}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(job))
    for folder, options in (("marked", []), ("plain", ["--no-mark"])):
        arguments = ["batch", str(tmp_path / "jobs.jsonl"), "-o", str(tmp_path / folder), *options]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.stderr
    assert SOURCE_TYPE in (edgedrag.load_picture(tmp_path / "marked" / "a.png").xmp or b"")
    assert edgedrag.load_picture(tmp_path / "plain" / "a.png").xmp == edgedrag.load_picture(CAT).xmp
    plain, sheet = tmp_path / "plain.webp", tmp_path / "sheet.png"
    arguments = ["drag", str(CAT), *DRAG, "-o", str(plain), "--sheet", str(sheet), "--no-mark"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert edgedrag.load_picture(plain).xmp == edgedrag.load_picture(CAT).xmp
    assert edgedrag.load_picture(sheet).xmp is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
@pytest.mark.parametrize("options", [["--json"], ["--mask-out", "-"]])
def test_a_full_stdout_of_a_drag_is_one_sentence(tmp_path: Path, options: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edgedrag", "drag", str(CAT), *DRAG, "-o", str(tmp_path / "a.png"), *options]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: stdout: cannot be written (No space left on device)"
    assert "Traceback" not in done.stderr
