"""`benchbed weights`: list, pull, verify and add the weights that benchbed does not ship."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from benchbed import weights as store
from benchbed.errors import CheckpointError, WeightsMissingError

SAYS = {
    "published": "published file: its sha256 is what its maker states",
    "unpublished": "its maker states no sha256, so nothing shows that it is the published file",
    "unverified": "UNVERIFIED stand-in: columns measured with it are not comparable",
}


@click.group("weights")
def weights() -> None:
    """List, pull, verify and add weights of evaluators and training losses."""


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_weights(as_json: bool) -> None:
    """All known weights: size, whether they are on this machine, purpose, licence, source and sha256."""
    rows = [(entry, store.locate(entry)) for entry in store.catalogue().values()]
    if as_json:
        click.echo(json.dumps([_as_json(entry, path) for entry, path in rows], indent=2))
        return
    width = max(len(entry.name) for entry, _ in rows)
    for entry, path in rows:
        where = f"{_standing(entry, path):<11}  {path}" if path else f"missing{_by_hand(entry)}"
        click.echo(f"{entry.name:<{width}}  {entry.megabytes:>6.1f} MiB  {where}")
        click.echo(f"{'':<{width}}  {entry.purpose}; licence: {entry.licence}")
        click.echo(f"{'':<{width}}  {entry.url}; sha256: {entry.sha256 or 'none stated'}")
        if unused := store.shadowed(entry):
            click.echo(f"{'':<{width}}  not used, since the store has the file: {unused}")
    click.echo(
        f"store: {store.store_folder()} (BENCHBED_WEIGHTS sets another), laid out as TORCH_HOME is: "
        "TORCH_HOME=$BENCHBED_WEIGHTS lets every library find the same files"
    )
    for path in store.leftovers():
        click.echo(
            f"not used, earlier versions kept it there: {path}; bring it in with: benchbed weights add {path}"
        )


def _as_json(entry: store.WeightsEntry, path: Path | None) -> dict[str, object]:
    listed = {key: value for key, value in asdict(entry).items() if key != "golden"}
    return {
        **listed,
        "path": str(path) if path else None,
        "standing": _standing(entry, path) if path else None,
    }


def _standing(entry: store.WeightsEntry, path: Path) -> str:
    try:
        return store.recorded_standing(entry, path)
    except CheckpointError:
        return "card damaged"


def _by_hand(entry: store.WeightsEntry) -> str:
    return " (to be fetched by hand)" if entry.by_hand else ""


@weights.command("pull")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Pull every known file that a program can download.")
@click.option("--from", "url", metavar="URL", help="Take the (one) file from a mirror instead.")
def pull_weights(names: tuple[str, ...], everything: bool, url: str | None) -> int:
    """Download weights, check their sha256 and put them into the store.

    A download that broke off is continued by the same command.
    """
    if not names and not everything:
        raise click.UsageError("name the weights to pull, or --all; known: " + ", ".join(store.catalogue()))
    if names and everything:
        raise click.UsageError("give names or --all, not both")
    if url and len(names) != 1:
        raise click.UsageError("--from takes one NAME, the file that lies at the URL")
    entries = (
        list(store.catalogue().values()) if everything else [store.weights_entry(name) for name in names]
    )
    failures = {entry.name: failure for entry in entries if (failure := _pull_one(entry, url)) is not None}
    if not failures:
        return 0
    if not everything:
        raise CheckpointError("; ".join(map(str, failures.values())))
    for failure in failures.values():
        click.echo(str(failure), err=True)
    click.echo(f"not here: {', '.join(failures)}", err=True)
    return 1


def _pull_one(entry: store.WeightsEntry, url: str | None) -> CheckpointError | None:
    present = store.locate(entry)
    try:
        if present is not None:
            checked = store.verify(entry, present)
            if checked.standing != "unverified":
                click.echo(f"{entry.name}: already here, {present} ({SAYS[checked.standing]})")
                return None
            if entry.by_hand and not url:
                return CheckpointError(f"{present} is a stand-in, and {store.by_hand_sentence(entry)}")
            click.echo(f"{present} is an unverified stand-in; replacing it", err=True)
    except CheckpointError as damaged:
        click.echo(f"{damaged.args[0].split(';')[0]}; getting it anew", err=True)
    try:
        pulled = store.pull(
            entry.name,
            _ProgressLine(entry.name),
            url=url,
            notice=lambda text: click.echo(f"{entry.name}: {text}", err=True),
        )
    except CheckpointError as failure:
        return failure
    click.echo(f"{entry.name}: {pulled.path} ({_described(pulled)})")
    return None


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify_weights(names: tuple[str, ...]) -> None:
    """Check files against their published sha256 and their cards (all that are here where none is named)."""
    entries = [store.weights_entry(name) for name in names] or list(store.catalogue().values())
    damaged = []
    for entry in entries:
        path = store.locate(entry)
        if path is None and not names:
            continue
        try:
            checked = store.find_checked(entry.name)
        except WeightsMissingError as missing:
            damaged.append(str(missing))
        except CheckpointError as failure:
            damaged.append(str(failure))
        else:
            word = "unchanged" if checked.standing == "unverified" else "good"
            click.echo(f"{entry.name}: {word}, {checked.path} ({_described(checked)})")
    if damaged:
        raise CheckpointError("; ".join(damaged))


@weights.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Which weights it is, where neither file name nor sha256 tells.")
@click.option(
    "--unverified",
    is_flag=True,
    help="Register it although it is not the published file; what it measures is not comparable.",
)
def add_weights(file: Path, name: str | None, unverified: bool) -> None:
    """Copy a weights file that was obtained by other means into the store."""
    added = store.add(file, name, unverified=unverified)
    click.echo(f"{added.path} ({_described(added)})")
    if added.standing == "unverified":
        click.echo(
            f"WARNING: {file} is registered as {added.path.name} without being the published file: columns measured "
            "with it are NOT COMPARABLE with any other, and say so",
            err=True,
        )


def _described(file: store.CheckedFile) -> str:
    digest = f"; sha256 {file.sha256}" if file.standing == "unpublished" else ""
    return f"{SAYS[file.standing]}{digest}"


class _ProgressLine:
    """Download progress on stderr: rewritten in place on a terminal, else a line every ten seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        self._before: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        if self._before is None:  # what an earlier call brought took none of this one's time
            self._before = done
        now = time.monotonic()
        finished = total is not None and done >= total
        if not finished and now - self._last < (0.2 if self._terminal else 10.0):
            return
        self._last = now
        text = f"{self._name}: {done / 2**20:.1f} MiB"
        if total:
            left = (now - self._start) * (total - done) / max(done - self._before, 1)
            text = f"{self._name}: {done / 2**20:.1f} of {total / 2**20:.1f} MiB, {left:.0f} s left"
        if self._terminal:
            click.echo(f"\r\x1b[K{text}", nl=finished, err=True)
        else:
            click.echo(text, err=True)
