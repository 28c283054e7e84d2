"""Bundles as releases: installed, switched to, taken back, listed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedrag.commands.family import Command, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE
from edgedrag.runtime.extras import missing_package
from edgedrag.runtime.options import AUTO, BACKENDS, PRECISIONS, BackendName, PrecisionName, RuntimeOptions

if TYPE_CHECKING:
    from edgedrag.runtime.bundle.installed import Serving, Trial
    from edgedrag.runtime.releases.store import Release


def read_bundles(context: click.Context, _: click.Parameter, file: Path | None) -> None:
    """Make what `[bundles]` of a station's settings says the defaults of the options."""
    if file is None:
        return
    try:
        from edgedrag.studio.settings_file import read_file
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", "studio") or error from error
    values = read_file(file).bundles.model_dump(exclude_unset=True)
    context.default_map = {OPTION_NAMES.get(name, name): value for name, value in values.items()}


OPTION_NAMES = {"trial": "edits", "most_bad": "bad_share"}  # settings whose option's value has another name


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option that reads a station's settings."""
    return click.option(
        "--config",
        type=FILE,
        is_eager=True,
        expose_value=False,
        callback=read_bundles,
        help="The station's TOML file, whose [bundles] holds keys and limits; options count before it.",
    )(command)


@option_group
class Tested:
    """The engine that a golden drag is run on."""

    backend: BackendName = option(
        "--backend", type=click.Choice([AUTO, *BACKENDS]), default=AUTO, show_default=True, help="To test it on."
    )
    precision: PrecisionName = option(
        "--precision", type=click.Choice([AUTO, *reversed(PRECISIONS)]), default=AUTO, show_default=True
    )

    def options(self) -> RuntimeOptions:
        return RuntimeOptions(backend=self.backend, precision=self.precision)


@option_group
class First:
    """What the first edits of a release are held to."""

    edits: int = option(
        "--trial", type=click.IntRange(0, 1000), default=20, show_default=True, help="Edits that are judged; 0 = none."
    )
    bad_share: float = option(
        "--most-bad", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Share of them that may be bad."
    )
    slower: float = option(
        "--slower", type=click.FloatRange(1), default=2.0, show_default=True, help="Times as long as an edit before."
    )

    def trial(self) -> Trial | None:
        from edgedrag.runtime.bundle.installed import Trial

        return Trial(self.edits, self.bad_share, self.slower) if self.edits else None


@click.command(cls=Command, extra="releases")
@click.argument("source")
@config_option
@click.option("--name", help="What --bundle and `bundle use` call it.  [default: the bundle's own name]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    envvar="EDGEDRAG_BUNDLE_KEYS",
    metavar="FILE|KEY",
    help="Public key of minisign that may have signed it.  [default: ~/.config/edgedrag/keys/*.pub]",
)
@click.option("--unsigned", is_flag=True, help="Take it without a signature: a bundle of your own.")
@click.option("--use", "used", is_flag=True, help="Switch to it at once, as `bundle use` does.")
@option_groups(tested=Tested)
@json_option
def install(
    source: str, name: str | None, keys: tuple[str, ...], unsigned: bool, used: bool, tested: Tested, as_json: bool
) -> None:
    """Install the bundle SOURCE: a folder, an archive, or an address as s3://shop/bundle.tar.gz.

    Its signature and hashes are checked, and its golden drag is run here. The bundle that serves goes on serving.

    \b
    edgedrag bundle install retouch-2.tar.gz --key retouch.pub
    edgedrag bundle use retouch
    """
    from edgedrag.runtime.bundle.installed import Trial
    from edgedrag.runtime.releases.install import install as install_bundle
    from edgedrag.runtime.releases.signature import trusted_keys
    from edgedrag.runtime.releases.switch import use as use_release

    options = tested.options()
    trusted = [] if unsigned else trusted_keys(keys)
    installed, release, facts = install_bundle(source, name, keys=trusted, unsigned=unsigned, options=options)
    if used:
        config = click.get_current_context().default_map or {}
        limits = {each: config[each] for each in ("edits", "bad_share", "slower") if each in config}
        use_release(installed, release, Trial(**limits) if limits.get("edits", 1) else None, options)
    if as_json:
        click.echo(json.dumps({"installed_as": installed, "release": release, **facts}))
        return
    golden = facts["golden"]
    click.echo(f"{installed}  {release}  ({facts['name']} {facts['version']}, {facts['bytes'] / 1e6:.0f} MB)")
    click.echo(f"  licence: {facts['licence']}")
    click.echo(f"  signed with: {facts['key'] or 'nothing, as --unsigned allows'}")
    drag = f"{golden['psnr_db']} dB (at least {golden['least_db']}), {golden['again_ms']:.0f} ms"
    click.echo(f"  golden drag: {drag} on {facts['engine']}")


@click.command(cls=Command)
@click.argument("name")
@click.argument("release", required=False)
@config_option
@option_groups(first=First, tested=Tested)
@json_option
def use(name: str, release: str | None, first: First, tested: Tested, as_json: bool) -> None:
    """Let a RELEASE of NAME serve, the newest by default, also in a station that runs; `shipped` is edgedrag's own.

    A station judges its first edits; where these are worse or slower than allowed, the release before serves again.
    """
    from edgedrag.runtime.releases.switch import use as use_release

    _print_serving(name, use_release(name, release, first.trial(), tested.options()), as_json)


@click.command(cls=Command)
@click.argument("name")
@json_option
def rollback(name: str, as_json: bool) -> None:
    """Let the release of NAME serve that served before."""
    from edgedrag.runtime.releases.switch import rollback as roll_back

    _print_serving(name, roll_back(name), as_json)


def _print_serving(name: str, serving: Serving, as_json: bool) -> None:
    from edgedrag.runtime.releases.switch import SHIPPED

    shown: dict[str, Any] = {
        "name": name,
        "release": serving.release or SHIPPED,
        "before": [release or SHIPPED for release in serving.before],
        "trial": serving.trial is not None,
    }
    click.echo(json.dumps(shown) if as_json else f"{name}  {shown['release']}")


@click.command(name="list", cls=Command)
@json_option
def list_(as_json: bool) -> None:
    """List the installed releases, the newest of each name first."""
    from edgedrag.runtime.bundle.installed import bundles_folder
    from edgedrag.runtime.releases.store import list_releases

    found = list_releases()
    if as_json:
        rows = [{**each.facts, "name": each.name, "release": each.release, "state": each.state} for each in found]
        click.echo(json.dumps({"folder": str(bundles_folder()), "releases": rows}))
        return
    click.echo("\n".join(_rows(found)) if found else f"no bundles are installed in {bundles_folder()}")


def _rows(found: Sequence[Release]) -> list[str]:
    width = max(len(each.name) for each in found)
    return [
        f"{each.name:<{width}}  {each.state or '-':<8}  {each.release}  {each.facts.get('bytes', 0) / 1e6:.0f} MB  "
        f"{each.facts.get('licence', '')}  {'signed ' + each.facts['key'] if each.facts.get('key') else 'unsigned'}"
        for each in found
    ]


RELEASES = (install, use, rollback, list_)
