"""python -m edgedrag.generator.hold: pack scenes, and train and judge a hold."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgedrag.generator.hold.scenes import CLIPS, KINDS

FILE = click.Path(path_type=Path)


@click.group()
def main() -> None:
    """Pack scenes, train a hold on them, judge it."""


@main.command()
@click.argument("clips", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", "folder", type=FILE, required=True, help="Folder of the set; what is there stays.")
@click.option("--count", default=12, show_default=True, help="Scenes wanted of each clip.")
@click.option("--stills", type=FILE, help="Folder of photographs with a manifest.tsv.")
@click.option("--cut-outs", type=FILE, help="Folder of RGBA cut-outs.")
@click.option("--composites", default=1200, show_default=True, help="Scenes of cut-outs over stills.")
@click.option("--rendered", default=0, show_default=True, help="Scenes drawn by pybullet over stills.")
@click.option("--saliency", type=FILE, help="U2-Netp as an ONNX file.")
@click.option("--segmenter", type=FILE, help="Folder with a promptable segmenter, encoder.onnx and sam.onnx.")
def pack(
    clips: tuple[Path, ...],
    folder: Path,
    count: int,
    stills: Path | None,
    cut_outs: Path | None,
    composites: int,
    rendered: int,
    saliency: Path | None,
    segmenter: Path | None,
) -> None:
    """Write scenes of CLIPS (files or folders), and of stills and cut-outs."""
    from edgedrag.generator.hold.packing import pack_clips
    from edgedrag.generator.hold.rendered import pack_rendered
    from edgedrag.generator.hold.saliency import SaliencyNetwork
    from edgedrag.generator.hold.segments import SegmentNetwork, pack_segments
    from edgedrag.generator.hold.stills import pack_stills, stills_in

    if stills is not None:
        rgba = sorted(cut_outs.glob("*.png")) if cut_outs is not None else []
        network = SaliencyNetwork(saliency) if saliency is not None else None
        pack_stills(stills_in(stills), rgba, folder / "saliency", network, folder, composites)
        if rendered:
            pack_rendered(stills_in(stills), folder, rendered)
        if segmenter is not None:
            pack_segments(stills_in(stills), SegmentNetwork(segmenter), folder)
    pack_clips(clips, folder, count)


@main.command()
@click.argument("config", type=FILE)
@click.option("-o", "--output", "run", type=FILE, help="Folder of the run.  [default: runs/CONFIG]")
def train(config: Path, run: Path | None) -> None:
    """Train a hold as CONFIG (JSON) says, or go on with an unfinished run."""
    from edgedrag.generator.hold.training import HoldConfig, train_hold

    click.echo(str(train_hold(HoldConfig.read(config), run or Path("runs") / config.stem)))


@main.command("judge")
@click.argument("place", type=FILE)
@click.option("--hold", "checkpoint", type=FILE, help="A trained hold, beside GrabCut and a disc.")
@click.option("--kind", type=click.Choice([CLIPS, *KINDS]), default=CLIPS, show_default=True, help="Of the scenes.")
def judge_pulls(place: Path, checkpoint: Path | None, kind: str) -> None:
    """Print the overlap of holds with what truly moves in the pulls of PLACE: a folder of scenes, or a file of jobs."""
    from edgedrag.generator.hold.pulls import judge

    click.echo(json.dumps(judge(place, checkpoint, kind)))


if __name__ == "__main__":
    main()
