"""Checks that repeated runs of one configuration agree within the intervals of `bench compare`.

For eleven runs:

for i in 0 1 2 3 4 5 6 7 8 9 10; do edgedrag bench latency --peers none --seconds 12 -o run-$i.json; done
python tools/agreement.py run-*.json -o REPORT.json
"""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import click

from edgedrag.benchmarks.latency.compare import compare_reports, read_report
from edgedrag.benchmarks.latency.single_stream import SHARES
from edgedrag.benchmarks.report import write_report

SAME = "no difference shown"


def verdicts(first: dict[str, Any], second: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ratio, interval and verdict for two runs, by kind of query."""
    rows = compare_reports(first, second)["rows"]
    return {row["kind"]: {name: row[name] for name in ("ratio", "interval", "verdict")} for row in rows}


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(reports: tuple[Path, ...], output: Path | None) -> None:
    """Compare each of REPORTS, ordered by time, with the next one, and all pairs."""
    read = sorted((read_report(file) for file in reports), key=lambda report: report["context"]["time"])
    neighbours = [verdicts(*pair) for pair in pairwise(read)]
    every = [verdicts(*pair) for pair in combinations(read, 2)]
    report = {
        "context": read[0]["context"],
        "median_ms": [run["drag"]["median_ms"] for report in read for run in report["runs"]],
        "agree": {
            kind: {
                "neighbours": f"{sum(v[kind]['verdict'] == SAME for v in neighbours)} of {len(neighbours)}",
                "all_pairs": f"{sum(v[kind]['verdict'] == SAME for v in every)} of {len(every)}",
            }
            for kind in SHARES
        },
        "neighbours": neighbours,
    }
    write_report(report, output)
    click.echo(json.dumps(report["agree"], indent=1))


if __name__ == "__main__":
    main()
