"""Engines: built ahead of a drag, and the cache they lie in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edgedrag.commands.engines_compare import compare
from edgedrag.commands.family import Family, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE
from edgedrag.runtime.backends.tensorrt.library import MODULES
from edgedrag.runtime.codes import ExitCode

BUILT_PRECISION = click.Choice(["auto", "fp16", "int8", "fp32"])
FOLDER_HELP = "Folder of engines.  [default: $EDGEDRAG_ENGINES, else edgedrag/engines in the user's cache folder]"
BUILT_PRECISION_HELP = "auto: INT8 where the bundle has a recipe, else fp16."


@click.group(cls=Family)
def engines() -> None:
    """Build engines for NVIDIA GPUs, manage their cache, compare two."""


@option_group
class Build:
    """What `engines build` builds, and where to."""

    library: str = option("--engine", type=click.Choice([*MODULES]), required=True, help="The library to build with.")
    targets: str = option(
        "--target",
        default="this-gpu",
        show_default=True,
        help="For TensorRT-RTX: generations of GPUs, as sm_75,sm_86,sm_89, or this-gpu.",
    )
    precision: str = option(
        "--precision", type=BUILT_PRECISION, default="auto", show_default=True, help=BUILT_PRECISION_HELP
    )
    shapes: str | None = option(
        "--shapes",
        help="Window sizes, as 512,384x640 (height x width); one number: those whose longer side it is.  "
        "[default: all of the bundle's]",
    )
    output: Path | None = option("-o", "--output", type=FILE, help=FOLDER_HELP)


@engines.command(extra="rtx")
@click.argument("bundle", default="embedded")
@option_groups(options=Build)
@json_option
def build(bundle: str, options: Build, as_json: bool) -> None:
    """Build engines of BUNDLE's graphs, one for each window size. With the extra [rtx] or [tensorrt].

    Engines that exist are not built again.

    \b
    edgedrag engines build embedded --engine tensorrt-rtx --target sm_86,sm_89
    """
    from edgedrag.export.engines.build import Request, build_engines, parse_sizes
    from edgedrag.runtime.backends.tensorrt.cache import EngineStore
    from edgedrag.runtime.bundle.manifest import open_bundle

    opened = open_bundle(bundle)
    wanted = tuple(dict.fromkeys(part.strip() for part in options.targets.split(",")))
    request = Request(options.library, wanted, options.precision, parse_sizes(options.shapes, opened))
    rows = []
    for row in build_engines(opened, request, options.output):
        rows.append(row)
        if not as_json:
            how = "cached" if row["cached"] else f"{row['seconds']:.1f} s"
            click.echo(f"{Path(row['file']).name}  {row['bytes'] / 1e6:.1f} MB  {how}")
    folder = str(EngineStore(options.output).folder)
    if as_json:
        click.echo(json.dumps({"bundle": opened.name, "folder": folder, "engines": rows}))
    else:
        click.echo(f"{len(rows)} engines in {folder}, {sum(not r['cached'] for r in rows)} of them new")


CACHE = click.option("--engines", "folder", type=FILE, help=FOLDER_HELP)


@engines.command("list")
@CACHE
@json_option
def list_engines(folder: Path | None, as_json: bool) -> None:
    """List the engines in the cache, with their size, library and version."""
    from edgedrag.runtime.backends.tensorrt.cache import EngineStore

    store = EngineStore(folder)
    found = [stored.manifest for stored in store.entries()]
    if as_json:
        click.echo(json.dumps({"folder": str(store.folder), "engines": found}))
        return
    for manifest in found:
        key = manifest["key"]
        click.echo(f"{manifest['file']}  {manifest['bytes'] / 1e6:.1f} MB  {key['library']} {key['version']}")
    click.echo(f"{len(found)} engines, {sum(m['bytes'] for m in found) / 1e6:.1f} MB in {store.folder}")


@engines.command()
@CACHE
@json_option
def verify(folder: Path | None, as_json: bool) -> None:
    """Check that every engine is the file that was built. Exit code 3 where one is not."""
    from edgedrag.runtime.backends.tensorrt.cache import EngineStore

    store = EngineStore(folder)
    faults = {stored.path.name: stored.fault() for stored in store.entries()}
    strays = [path.name for path in store.strays()]
    if as_json:
        rows = [{"file": name, "whole": fault is None, "reason": fault or ""} for name, fault in faults.items()]
        click.echo(json.dumps({"folder": str(store.folder), "engines": rows, "strays": strays}))
    else:
        for name, fault in faults.items():
            click.echo(f"{name}  {'whole' if fault is None else 'DAMAGED: ' + fault}")
        for name in strays:
            click.echo(f"{name}  left over from a build that was stopped; `edgedrag engines prune` removes it")
        click.echo(f"{len(faults)} engines in {store.folder}, {sum(f is not None for f in faults.values())} damaged")
    if any(faults.values()):
        sys.exit(ExitCode.UNAVAILABLE)


@engines.command()
@CACHE
@json_option
@click.option("--all", "everything", is_flag=True, help="Remove whole engines too.")
def prune(folder: Path | None, as_json: bool, everything: bool) -> None:
    """Remove damaged and outdated engines. Outdated: of another version of an installed library."""
    from edgedrag.runtime.backends.tensorrt.cache import EngineStore
    from edgedrag.runtime.backends.tensorrt.pruning import prune as prune_store

    store = EngineStore(folder)
    removed = prune_store(store, everything)
    if as_json:
        click.echo(json.dumps({"folder": str(store.folder), "removed": [{"file": n, "reason": r} for n, r in removed]}))
        return
    for name, reason in removed:
        click.echo(f"{name}  removed: {reason}")
    click.echo(f"{len(removed)} files removed from {store.folder}")


engines.add_command(compare)


@engines.command()
@click.argument("graph")
@click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped name.")
@click.option(
    "--branch",
    type=click.Choice(["single", "pair"]),
    default="single",
    show_default=True,
    help="Of a graph that runs in pairs under guidance.",
)
@click.option("--precision", type=BUILT_PRECISION, default="auto", show_default=True, help=BUILT_PRECISION_HELP)
@click.option("--shapes", help="Window sizes, as 512,384x640 (height x width), a line each.  [default: the first]")
def command(graph: str, bundle: str, branch: str, precision: str, shapes: str | None) -> None:
    """Print the trtexec command that builds and times GRAPH. It builds what `engines build --engine tensorrt` does.

    \b
    edgedrag engines command denoiser
    """
    from edgedrag.export.engines.build import parse_sizes
    from edgedrag.export.engines.trtexec import trtexec_commands
    from edgedrag.runtime.bundle.manifest import open_bundle

    opened = open_bundle(bundle)
    sizes = parse_sizes(shapes, opened) if shapes is not None else (opened.sizes[0],)
    for line in trtexec_commands(opened, graph, branch, precision, sizes):
        click.echo(line)
