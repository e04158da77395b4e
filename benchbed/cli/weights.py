"""`benchbed weights`: list, pull, verify and add the weights that benchbed does not ship."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from benchbed import weights as store
from benchbed.errors import CheckpointError


@click.group("weights")
def weights() -> None:
    """List, pull, verify and add weights of evaluators and training losses."""


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_weights(as_json: bool) -> None:
    """All known weights and whether they are on this machine."""
    rows = [(entry, store.locate(entry)) for entry in store.catalogue().values()]
    if as_json:
        listed = [{**asdict(entry), "path": str(path) if path else None} for entry, path in rows]
        click.echo(json.dumps(listed, indent=2))
        return
    width = max(len(entry.name) for entry, _ in rows)
    for entry, path in rows:
        where = str(path) if path else "missing"
        click.echo(f"{entry.name:<{width}}  {entry.megabytes:>6.1f} MiB  {where}")
        click.echo(f"{'':<{width}}  {entry.purpose}; licence: {entry.licence}")
    click.echo(f"store: {store.store_folder()} (BENCHBED_WEIGHTS sets another)")


@weights.command("pull")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Pull every known file.")
@click.option("--from", "url", metavar="URL", help="Take the (one) file from a mirror instead.")
def pull_weights(names: tuple[str, ...], everything: bool, url: str | None) -> None:
    """Download weights, check their sha256 and put them into the store."""
    if everything:
        names = tuple(store.catalogue())
    if not names:
        raise click.UsageError("name the weights to pull, or --all; known: " + ", ".join(store.catalogue()))
    if url and len(names) != 1:
        raise click.UsageError("--from takes one NAME, the file that lies at the URL")
    failures = [failure for name in names if (failure := _pull_one(name, url)) is not None]
    if failures:
        raise failures[0] if len(failures) == 1 else CheckpointError("; ".join(map(str, failures)))


def _pull_one(name: str, url: str | None) -> CheckpointError | None:
    entry = store.weights_entry(name)
    present = store.locate(entry)
    if present is not None:
        try:
            store.verify(entry, present)
        except CheckpointError as damaged:
            click.echo(f"{damaged.args[0].split(';')[0]}; replacing it", err=True)
        else:
            click.echo(f"{name}: already here, {present}")
            return None
    try:
        path = store.pull(name, _ProgressLine(name), url=url)
    except CheckpointError as failure:
        return failure
    click.echo(f"{name}: {path}{_unpublished(entry, path)}")
    return None


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify_weights(names: tuple[str, ...]) -> None:
    """Check files on this machine against their published sha256 (all that are here where none is named)."""
    entries = [store.weights_entry(name) for name in names] or list(store.catalogue().values())
    damaged = []
    for entry in entries:
        path = store.locate(entry)
        if path is None:
            if names:
                damaged.append(f"weights missing: benchbed weights pull {entry.name}")
            continue
        try:
            store.verify(entry, path)
        except CheckpointError as failure:
            damaged.append(str(failure))
        else:
            click.echo(f"{entry.name}: good, {path}{_unpublished(entry, path)}")
    if damaged:
        raise CheckpointError("; ".join(damaged))


@weights.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Which weights it is, where neither file name nor sha256 tells.")
def add_weights(file: Path, name: str | None) -> None:
    """Copy a weights file that was obtained by other means into the store."""
    click.echo(str(store.add(file, name)))


def _unpublished(entry: store.WeightsEntry, path: Path) -> str:
    if entry.sha256:
        return ""
    return f" (its maker publishes no sha256; this file's is {store.sha256_of(path)})"


class _ProgressLine:
    """Download progress on stderr: rewritten in place on a terminal, else a line every ten seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        finished = total is not None and done >= total
        if not finished and now - self._last < (0.2 if self._terminal else 10.0):
            return
        self._last = now
        text = f"{self._name}: {done / 2**20:.1f} MiB"
        if total:
            left = (now - self._start) * (total - done) / max(done, 1)
            text = f"{self._name}: {done / 2**20:.1f} of {total / 2**20:.1f} MiB, {left:.0f} s left"
        if self._terminal:
            click.echo(f"\r\x1b[K{text}", nl=finished, err=True)
        else:
            click.echo(text, err=True)
