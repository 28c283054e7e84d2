"""Installs a bundle as a release: copied, its signature and hashes checked, and tested on this device's engine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.installed import Serving, sync_folder, write_serving
from edgedrag.runtime.bundle.manifest import MAX_MANIFEST_BYTES, Bundle, is_shipped, open_bundle
from edgedrag.runtime.errors import BundleError, EngineError, InputError, summary
from edgedrag.runtime.files import BLOCK, aside_folder, move_folder, remove_leftovers, scratch_folder
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.releases.signature import PublicKey, SignatureError, check_signature
from edgedrag.runtime.releases.source import MANIFEST, Source, open_source
from edgedrag.runtime.releases.store import FACTS, changing, check_name, made_folder, prune, serving_or_none
from edgedrag.runtime.selection.select import select_backend
from edgedrag.runtime.selection.self_test import Golden, self_test

SIGNATURE = "bundle.json.minisig"
MAX_SIGNATURE_BYTES = 64 << 10
MAX_BUNDLE_BYTES = 16 << 30  # of all files; what says it is larger is no bundle, but a compressed bomb


@contextmanager
def checked_copy(source: str, keys: Sequence[PublicKey], unsigned: bool) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder beside the installed ones with a copy of a bundle whose signature and hashes are right, and what it is.

    It is removed at the end where it was not moved.

    Raises:
        InputError: the source cannot be read.
        BundleError: it is no bundle, of another format, damaged, or not signed with one of the keys.
    """
    folder = made_folder()
    remove_leftovers(folder)
    with aside_folder(folder) as aside, scratch_folder() as scratch:
        try:
            with open_source(source, scratch) as opened:
                facts = {"source": source, "key": _take_manifest(opened, source, aside, keys, unsigned)}
                bundle = open_bundle(aside)
                _take_files(opened, source, aside, bundle)
            verify(bundle)
        except BundleError as error:
            raise BundleError(str(error).replace(str(aside), source.rstrip("/"))) from None
        yield aside, facts


def _take_manifest(opened: Source, source: str, aside: Path, keys: Sequence[PublicKey], unsigned: bool) -> str | None:
    """Copy the manifest and its signature; the number of the key that signed it, None where it may be unsigned."""
    data = _read(opened, source, MANIFEST, MAX_MANIFEST_BYTES)
    if data is None:
        raise BundleError(f"{source}: has no {MANIFEST}, so it is not a bundle")
    (aside / MANIFEST).write_bytes(data)
    if unsigned:
        return None
    signature = _read(opened, source, SIGNATURE, MAX_SIGNATURE_BYTES)
    if signature is None:
        raise BundleError(
            f"{source}: is not signed ({SIGNATURE} is missing); install it with --unsigned if you made it"
        )
    if not keys:
        raise BundleError(f"{source}: this station has no public key to check its signature with; give --key")
    (aside / SIGNATURE).write_bytes(signature)
    try:
        return check_signature(data, signature.decode("utf-8", "replace"), keys).number
    except SignatureError as error:
        raise BundleError(f"{source}: {error}") from None


def _take_files(opened: Source, source: str, aside: Path, bundle: Bundle) -> None:
    """Copy what the manifest names, each file with the hash that it gives, and nothing else."""
    left = MAX_BUNDLE_BYTES
    for name, expected in files(bundle).items():
        digest = hashlib.sha256()
        try:
            with opened.open(name) as reading, (aside / name).open("wb") as writing:
                while block := reading.read(BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise BundleError(f"{source}: larger than {MAX_BUNDLE_BYTES >> 30} GiB; this is no bundle")
                    digest.update(block)
                    writing.write(block)
                writing.flush()
                os.fsync(writing.fileno())
        except FileNotFoundError:
            raise BundleError(f"{source}: {name} is missing; copy the bundle again") from None
        except OSError as error:
            raise InputError(f"{source}: {name} cannot be copied ({error.strerror or error})") from None
        if digest.hexdigest() != expected:
            raise BundleError(f"{source}: {name} is damaged or was changed (its SHA-256 is not the manifest's)")


def files(bundle: Bundle) -> dict[str, str]:
    """The files of a bundle but for the manifest, and their hashes."""
    found = {}
    for _, graph in bundle.graphs():
        for variant in graph.variants:
            found.update({variant.file: variant.sha256, **dict(variant.external)})
    entries = [bundle.manifest[name] for name in ("recipe", "golden") if name in bundle.manifest]
    return found | {entry["file"]: entry["sha256"] for entry in entries}


def verify(bundle: Bundle) -> None:
    """Check every file of a bundle. Raises BundleError."""
    for _, graph in bundle.graphs():
        for variant in graph.variants:
            bundle.verified_file(variant)
    if "golden" in bundle.manifest:
        bundle.verified_golden()
    if "recipe" in bundle.manifest:
        bundle.verified_recipe()


def _read(opened: Source, source: str, name: str, most: int) -> bytes | None:
    """A small file; None where there is none."""
    try:
        with opened.open(name) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{source}: {name} cannot be read ({error.strerror or error})") from None
    except Exception as error:  # file systems raise what they like
        raise InputError(f"{source}: {name} cannot be read ({summary(error)})") from error
    if len(data) > most:
        raise BundleError(f"{source}: {name} is larger than {most >> 10} KiB")
    return data


def golden_drag(bundle: Bundle, options: RuntimeOptions) -> tuple[Golden, str]:
    """Run the golden drag on the engine that serves here; what was measured, and the engine.

    Raises:
        EngineError: no engine serves, or the result is not the stored one.
        BundleError: the bundle has no golden drag, or none of this engine's sizes.
    """
    selected = select_backend(bundle, replace(options, bundle=bundle.folder))
    golden = selected.golden or self_test(bundle, selected.stages)
    engine = f"{selected.stages.backend.name} {selected.stages.precision}"
    if golden is None:
        raise BundleError(f"bundle '{bundle.name}' has no golden drag for {engine}, so it cannot be tested here")
    return golden, engine


def install(
    source: str,
    name: str | None = None,
    *,
    keys: Sequence[PublicKey] = (),
    unsigned: bool = False,
    options: RuntimeOptions = RuntimeOptions(),
) -> tuple[str, str, dict[str, Any]]:
    """Install a bundle beside the one that serves; returns its name, its release and what `release.json` says.

    Args:
        name: what it is used by; the bundle's own where None.
        unsigned: take it without a signature.
        options: the engine that it is tested on; their bundle does not count.

    Raises:
        InputError, BundleError, EngineError: one sentence on what is wrong with it; nothing is left behind.
    """
    if name is not None:
        check_name(name)
    with checked_copy(source, keys, unsigned) as (aside, facts):
        bundle = open_bundle(aside)
        name = name or bundle.name
        try:
            golden, engine = golden_drag(bundle, options)
        except (BundleError, EngineError) as error:
            raise type(error)(f"{source}: {error}".replace(str(aside), source.rstrip("/"))) from None
        release = release_name(bundle)
        facts |= {
            "name": bundle.name,
            "version": bundle.manifest["version"],
            "licence": bundle.manifest["licence"],
            "format_version": bundle.manifest["format_version"],
            "bytes": sum((aside / file).stat().st_size for file in files(bundle)),
            "engine": engine,
            "golden": asdict(golden),
            "installed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        (aside / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        for file in (MANIFEST, SIGNATURE, FACTS):
            _sync_file(aside / file)
        sync_folder(aside)
        with changing(name) as folder:
            folder.mkdir(exist_ok=True)
            move_folder(aside, folder / release)
            sync_folder(folder)
            if serving_or_none(name) is None and not is_shipped(name):
                write_serving(name, Serving(release))
            prune(name)
    return name, release, facts


def release_name(bundle: Bundle) -> str:
    """Version and the start of the manifest's hash: other contents have another name."""
    version = re.sub(r"[^A-Za-z0-9._-]", "-", str(bundle.manifest["version"])).lstrip("._-")[:40] or "0"
    return f"{version}-{hashlib.sha256((bundle.folder / MANIFEST).read_bytes()).hexdigest()[:12]}"


def _sync_file(file: Path) -> None:
    if file.exists():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
