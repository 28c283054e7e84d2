"""A site's loop: what staff kept becomes a better bundle on the station, and goes back where the edits get worse.

python examples/site_loop.py release CLIPS KEPT -o ROUND --sign "minisign -S -s site.key -m" --install site.pub
python examples/site_loop.py watch http://127.0.0.1:8000 embedded RELEASE

What each step does, and what it showed: docs/site_loop.md.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
HELD_OUT = 4  # each fourth of the kept drags is for the gate alone
RISK_RISE = 0.02  # of the mean over a set; the rest of the gate's limits are the budgets of `bundle calibrate`
LEAST_DB, MOST_STLPIPS = 38.0, 0.005


def edgedrag(*arguments: str | Path) -> str:
    """Run a command; what it printed. Where it fails, its own sentence stands on stderr already."""
    done = subprocess.run([sys.executable, "-m", "edgedrag", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def write_jobs(file: Path, jobs: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(job) + "\n" for job in jobs), encoding="utf-8")


def kept_jobs(folder: Path) -> list[dict[str, Any]]:
    """The drags of bad edits that staff kept, with full paths."""
    try:
        lines = (folder / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
        jobs = [json.loads(line) for line in lines if line.strip()]
        return [{**job, "image": str((folder / job["image"]).resolve()), "mask": str((folder / job["mask"]).resolve())}
                for job in jobs]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{folder / 'jobs.jsonl'}: cannot be read as a station's kept edits ({error!r})")


def golden_jobs(folder: Path) -> Iterator[dict[str, Any]]:
    """The golden set's drags as jobs."""
    for row in json.loads((folder / "golden.json").read_text(encoding="utf-8")):
        drags = [[[hx, hy], [tx, ty]] for hx, hy, tx, ty in row["drags"]]
        yield {"name": Path(row["photo"]).stem, "image": str((folder / row["photo"]).resolve()), "drags": drags}


def verdicts(bundle: str | Path, jobs: Path, folder: Path) -> dict[str, dict[str, float]]:
    """For each set: how many edits there are, how many are bad, and their mean risk. The pictures stay in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    said = edgedrag("batch", jobs, "-o", folder, "--bundle", bundle, "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    found: dict[str, dict[str, float]] = {}
    for part in ("site", "golden"):
        checks = [line["checks"] for line in lines if line["name"].startswith(f"{part}-")]
        bad = sum(check["verdict"] == "bad" for check in checks)
        risk = sum(check["risk"] for check in checks) / len(checks)
        found[part] = {"edits": len(checks), "bad": bad, "risk": round(risk, 4)}
    return found


def refusal(figures: dict[str, Any]) -> str | None:
    """Why a bundle with these figures must not be released; None where it may."""
    for part, before in figures["before"].items():
        after = figures["after"][part]
        if after["bad"] > before["bad"]:
            return f"{after['bad']} of {after['edits']} edits of the {part} set are bad, {before['bad']} before"
        if after["risk"] > before["risk"] + RISK_RISE:
            return f"the mean risk of the {part} set's edits is {after['risk']}, {before['risk']} before"
    for row in figures["precision"]:
        if row["psnr_db"] < LEAST_DB or row["stlpips"] > MOST_STLPIPS:
            return (
                f"{row['precision']} is {row['psnr_db']} dB and ST-LPIPS {row['stlpips']} from fp32 on the golden set; "
                f"{LEAST_DB} and {MOST_STLPIPS} are the limits"
            )
    return None


def measure(before: str, after: Path, held_out: Sequence[dict[str, Any]], golden: Path, work: Path) -> dict[str, Any]:
    """The gate's figures: both bundles on both sets as one finger pulls, without masks, and INT8 beside fp32."""
    jobs = [(part, job) for part, of_it in (("site", held_out), ("golden", golden_jobs(golden))) for job in of_it]
    listed = work / "gate.jsonl"
    write_jobs(listed, [{**job, "name": f"{part}-{job['name']}", "mask": None} for part, job in jobs])
    options = ("--golden", golden, "--precisions", "fp32,int8", "--steps", "1", "--json")
    rows = json.loads(edgedrag("bench", "accuracy", "--bundle", after, *options))["rows"]
    return {
        "before": verdicts(before, listed, work / "edits_before"),
        "after": verdicts(after, listed, work / "edits_after"),
        "precision": [row for row in rows if not row["reference"]],
    }


@click.group()
def main() -> None:
    """A site's own bundle: made, held to a gate, signed, installed, watched."""


@main.command()
@click.argument("clips", type=FOLDER)
@click.argument("kept", type=FOLDER)
@click.option("-o", "--output", "work", type=click.Path(path_type=Path), required=True, help="Folder of this round.")
@click.option("--bundle", default="embedded", show_default=True, help="What serves now; the release gets its name.")
@click.option("--golden", type=FOLDER, default=GOLDEN, help="A set as tests/golden.")
@click.option("--finetune", default="", help='Options of `learn finetune`, as "--updates 60 --count 48".')
@click.option("--calibrate", default="", help='Options of `bundle calibrate`, as "--search 4".')
@click.option("--sign", "signer", required=True, help="Command that signs the file whose path is put after it.")
@click.option(
    "--install", "key", metavar="KEY", help="Install it here, checked with this public key, and let it serve."
)
def release(
    clips: Path, kept: Path, work: Path, bundle: str, golden: Path, finetune: str, calibrate: str, signer: str,
    key: str | None,
) -> None:  # fmt: skip
    """Make ROUND/release.tar.gz of CLIPS and of the KEPT folder in a station's state. A stopped round continues."""
    jobs = kept_jobs(kept)
    held_out = jobs[HELD_OUT - 1 :: HELD_OUT]
    if not held_out:
        sys.exit(f"{kept}: {len(jobs)} kept edits; a round takes at least {HELD_OUT}")
    work.mkdir(parents=True, exist_ok=True)
    tuned, made = work / "tuned", work / "release"
    if not tuned.exists():
        edgedrag("learn", "finetune", clips, "-o", tuned, *shlex.split(finetune))
    if not made.exists():
        calibration = work / "calibration.jsonl"
        write_jobs(calibration, [job for number, job in enumerate(jobs, 1) if number % HELD_OUT])
        edgedrag("bundle", "calibrate", tuned, "--drags", calibration, "-o", made, *shlex.split(calibrate))
    figures = measure(bundle, made, held_out, golden, work)
    figures["hold"] = json.loads((work / "tuned.work" / "figures.json").read_text(encoding="utf-8"))
    (work / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    why = refusal(figures)
    if why is not None:
        sys.exit(f"refused: {why}; nothing was signed")
    try:
        subprocess.run([*shlex.split(signer), str(made / "bundle.json")], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"not signed: {error}")
    archive = shutil.make_archive(str(made), "gztar", made)
    click.echo(f"{archive}: passed the gate, signed")
    if key is not None:
        found = json.loads(edgedrag("bundle", "install", archive, "--name", bundle, "--key", key, "--json"))["release"]
        edgedrag("bundle", "use", bundle, found)
        click.echo(f"{bundle} {found} serves; python {sys.argv[0]} watch http://127.0.0.1:8000 {bundle} {found}")


@main.command()
@click.argument("station")
@click.argument("bundle")
@click.argument("watched", metavar="RELEASE")
@click.option("--token-file", type=click.Path(path_type=Path, exists=True), help="Holds the STATION's token.")
def watch(station: str, bundle: str, watched: str, token_file: Path | None) -> None:
    """Look at STATION once; where its drift alarm is up while RELEASE of BUNDLE serves, what served before serves."""
    headers = {} if token_file is None else {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    try:
        asked = urllib.request.Request(f"{station}/metrics", headers=headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            alarm = re.search(r"^edgedrag_drift_alarm (\S+)$", answer.read().decode(), re.M)
    except (urllib.error.URLError, OSError, ValueError) as error:
        sys.exit(f"{station}: no metrics ({error})")
    if alarm is None:
        sys.exit(f"{station}: not a station of edgedrag")
    listed = json.loads(edgedrag("bundle", "list", "--json"))["releases"]
    serving = {row["release"] for row in listed if row["name"] == bundle and row["state"] in ("serves", "on trial")}
    if watched not in serving:
        click.echo(f"{bundle} {watched} does not serve any more")
    elif float(alarm[1]):
        edgedrag("bundle", "rollback", bundle)
        sys.exit(f"drift: {bundle} {watched} was taken back")
    else:
        click.echo("no drift")


if __name__ == "__main__":
    main()
