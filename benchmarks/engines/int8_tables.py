"""Writes the tables of docs/int8.md from the committed reports.

python -m edgedrag.benchmarks.engines.int8_tables
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgedrag
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency.report import markdown
from edgedrag.benchmarks.latency.tables import Table
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

Report = dict[str, Any]
STAGES = ("reference", "drag", "denoise", "decode", "total")
VARIANTS = {  # names of int8_kernels.VARIANTS
    "fp32": "fp32",
    "u8s8": "uint8 x int8, ONNX Runtime's default: saturates",
    "u8u8": "uint8 x uint8, `session.x64quantprecision`: edgedrag's",
    "s8s8": "int8 x int8",
    "u8s8, 7-bit weights": "uint8 x int8, weights of 7 bits",
    "float sums": "the same graphs, dequantized to float",
}


def stages(report: Report) -> list[str]:
    """Milliseconds by stage in both precisions."""
    speed = report["speed"]
    rows = [[name, *(number(speed["median_ms"][name][part], 2) for part in STAGES)] for name in ("fp32", "int8")]
    rows.append(["fp32 / int8", *(f"{speed['fp32_over_int8'][part]:.2f}x" for part in STAGES)])
    engine = {"cpu": "ONNX Runtime", "openvino": "OpenVINO"}[report["backend"]]
    text = f"{_where(report)}, INT8 on {engine}, medians of {speed['n']} first drags, milliseconds:"
    return [text, "", *markdown(Table("", "", ("", *STAGES[:-1], "whole drag"), rows))]


def damage(report: Report) -> list[str]:
    """The error of INT8 edits by step count, and the sizes of the files."""
    rows = [
        [
            count, f"{row['psnr_db']:.1f} dB", f"{row['pooled_psnr_db']:.1f} dB", f"{row['worst_psnr_db']:.1f} dB",
            f"{row['at_least_38_db']} of {row['drags']}", f"{row['stlpips']:.5f}",
        ]
        for count, row in report["by_steps"].items()
    ]  # fmt: skip
    head = ("steps", "PSNR, mean", "all pixels together", "worst drag", "drags at 38 dB or more", "ST-LPIPS")
    sizes = {name: f"{size / 1e6:.1f} MB" for name, size in report["bytes"].items()}
    text = (
        f"The INT8 graph files for the CPU have {sizes['int8']}, the shipped fp32 files {sizes['fp32']}; "
        f"fp32 at 4 bytes per parameter would have {sizes['fp32_at_4_bytes']}."
    )
    return [*markdown(Table("", "", head, rows)), "", text]


def kernels(report: Report) -> list[str]:
    """Ways to multiply 8-bit numbers on a processor without VNNI."""
    rows = []
    for name, title in VARIANTS.items():
        row = report["variants"][name]
        ratios = ["1" if name == "fp32" else _ratio(row[f"fp32_over_{clock}"]) for clock in ("ms", "processor_ms")]
        errors = [f"{row[key]:.1f} dB" if key in row else "-" for key in ("psnr_db", "worst_psnr_db", "golden_db")]
        times = [number(row[clock], 0) for clock in ("ms", "processor_ms")]
        rows.append([title, times[0], ratios[0], times[1], ratios[1], *errors])
    head = ("activations and weights", "wall time, ms", "fp32 / this", "CPU time, ms", "fp32 / this", "PSNR, mean",
            "worst drag", "golden drag")  # fmt: skip
    return [f"{_where(report)}:", "", *markdown(Table("", "", head, rows))]


def _where(report: Report) -> str:
    """Version, date and processor; older reports state neither the first nor what the last can multiply."""
    version = f"Version {report['bundle_version']}, " if "bundle_version" in report else ""
    can = report.get("vector_instructions")
    vnni = "" if can is None else f" {'with' if {'avx_vnni', 'avx512_vnni'} & set(can) else 'without'} VNNI"
    return f"{version}{report['date']}, {report['cpus']} cores of an {report['device']}{vnni}"


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


PARTS: dict[str, tuple[str, Callable[[Report], list[str]]]] = {  # name of the place: report and what is made of it
    "stages": ("int8.json", stages),
    "damage": ("int8.json", damage),
    "openvino": ("int8_openvino.json", stages),
    "kernels": ("int8_kernels.json", kernels),
}


def rewritten(page: str, results: Path) -> str:
    """The text of docs/int8.md with each part between its markers made of a report.

    Raises:
        InputError: a part's markers are missing or repeated.
    """
    for name, (file, make) in PARTS.items():
        begin = f"<!-- {name}: written by python -m edgedrag.benchmarks.engines.int8_tables -->"
        end = f"<!-- {name}: end -->"
        report = json.loads((results / file).read_text(encoding="utf-8"))
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended or begin in after:
            raise InputError(f"docs/int8.md: {begin} and {end} are not there once")
        page = before + "\n".join([begin, *make(report), end]) + after
    return page


def main() -> None:
    """Rewrite docs/int8.md in the checkout."""
    root = Path(edgedrag.__file__).resolve().parents[2]
    page = root / "docs" / "int8.md"
    write_aside(page, rewritten(page.read_text(encoding="utf-8"), root / "benchmarks" / "results").encode())


if __name__ == "__main__":
    main()
