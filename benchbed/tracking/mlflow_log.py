"""A run's copy in MLflow: one parent run per invocation, a child per method and dataset."""

from __future__ import annotations

import logging
import math
import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from benchbed.tables.model import Table

log = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlflow.db"
SECONDS, RETRIES = 10, 0
# MLflow's own limits: per log_batch call, and per text.
METRICS_PER_BATCH, ENTRIES_PER_BATCH, TEXT = 1000, 100, 4900
BOUNDS = ("low", "high", "n", "n_missing", "worst_case")
COSTS = {"fps": "frames_per_second", "parameters": "parameters", "peak_memory_bytes": "peak_memory_bytes"}


@dataclass(frozen=True)
class RunSummary:
    """What MLflow is told about a run.

    Args:
        run_id: benchbed's own id; a resumed run finds and updates its MLflow runs by it.
        command: the command line.
        protocol: names of the protocols, comma-separated.
        parameters: settings of the run, logged with the parent and every child.
        tags: logged with the parent.
        aggregate, costs: as `benchbed.aggregate` gives them.
        tables: the run's tables, shown in MLflow by `log_table`.
        tables_dir: folder with the tables' files, logged as artifacts.
        samples: sample grids; strips of single methods (`<method>.png`) lie beside them.
    """

    run_id: str
    command: str
    protocol: str
    parameters: dict[str, str]
    tags: dict[str, str]
    aggregate: pd.DataFrame
    costs: pd.DataFrame
    tables: list[Table]
    tables_dir: Path
    samples: list[Path] = field(default_factory=list)


@dataclass
class _Entries:
    """Metrics, parameters and tags of one MLflow run."""

    metrics: dict[tuple[str, int], float] = field(default_factory=dict)  # by name and step
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def metric(self, name: str, value: Any, step: int = 0) -> None:
        """Add a finite value; NaN means there is none, an infinite one is said in a tag."""
        number = math.nan if value is None else float(value)
        if math.isfinite(number):
            self.metrics[metric_name(name), step] = number
        elif math.isinf(number):
            self.tags[f"not_finite.{metric_name(name)}"] = str(number)


def _setting(text: str) -> tuple[str, int]:
    """A setting without its number of references, and that number: `("animation", 3)`; 0 where it has none."""
    kind, _, count = text.rpartition("N_ref=")
    return (kind.strip(), int(count)) if count.isdigit() and kind else (text, 0)


def log_run(run: RunSummary, *, uri: str | None, experiment: str = "benchbed") -> str | None:
    """Copy a run to MLflow, or update the copy it already has.

    Args:
        run: what to log.
        uri: tracking store; None takes MLFLOW_TRACKING_URI, else an SQLite file `mlflow.db` in the working
            directory with its artifacts in `mlruns/` beside it.
        experiment: name of the MLflow experiment.

    Returns:
        The parent run's MLflow id; None where the store could not be reached or written, which is logged as one
        warning and costs nothing else.
    """
    target = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    with _quick_and_quiet():
        try:
            return _log(run, target, experiment)
        except Exception as error:  # whatever a tracking store fails with, the results are already on disk
            log.warning(
                "MLflow at %s was not updated: %s; the results are complete without it",
                _without_password(target),
                _reason(error),
            )
            log.debug("MLflow failure", exc_info=True)
            return None


def metric_name(name: str) -> str:
    """A name MLflow takes: letters, digits and `_-./ ` stay, the rest becomes `-`."""
    return re.sub(r"[^\w\-./ ]", "-", name)


def _log(run: RunSummary, target: str, experiment: str) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=target)
    experiment_id = _experiment(client, target, experiment)
    parent, children = _known_runs(client, experiment_id, run.run_id)
    if parent is None:
        parent = client.create_run(
            experiment_id,
            run_name=f"{run.protocol} {run.run_id}",
            tags={"benchbed.run_id": run.run_id, "benchbed.role": "parent"},
        )
    parent_id = parent.info.run_id
    entries = _Entries(parameters={"protocol": run.protocol, **run.parameters})
    entries.tags |= {"benchbed.command": run.command, **run.tags}
    _write(client, parent, entries)
    _tables(client, parent, run)
    for sample in run.samples:
        client.log_artifact(parent_id, str(sample), f"samples/{sample.parent.name}")
    # The numbers of references of a sweep are the steps of one child.
    settings = run.aggregate["setting"].map(lambda text: _setting(str(text)))
    stepped = run.aggregate.assign(
        setting=[kind for kind, _ in settings], step=[step for _, step in settings]
    )
    sections = stepped.groupby(["method", "dataset", "protocol", "transfer", "setting"], sort=False)
    # Groups are (method, dataset, protocol, transfer, setting).
    parts = [(tuple(map(str, group)), rows) for group, rows in sections]
    per_method = Counter(section[:2] for section, _ in parts)
    for section, rows in parts:
        method, dataset, protocol, transfer, setting = section
        child_key = "|".join((method, dataset, protocol, transfer, *([setting] if setting else [])))
        child = children.get(child_key)
        if child is None:
            words = (protocol, setting, transfer) if per_method[method, dataset] > 1 else ()
            extra = "".join(f" {word}" for word in words if word)
            child = client.create_run(
                experiment_id,
                run_name=f"{method} {dataset}{extra}",
                tags={
                    "mlflow.parentRunId": parent_id,
                    "benchbed.run_id": run.run_id,
                    "benchbed.role": "child",
                    "benchbed.section": child_key,
                },
            )
        _write(client, child, _child_entries(run, method, dataset, protocol, transfer, setting, rows))
        for strip in _strips(run.samples, method, dataset):
            client.log_artifact(child.info.run_id, str(strip), f"samples/{strip.parent.name}")
        failed = bool((rows["status"] == "failed").any())
        client.set_terminated(child.info.run_id, "FAILED" if failed else "FINISHED")
    client.set_terminated(parent_id, "FINISHED")
    return parent_id


def _experiment(client: MlflowClient, target: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    location = None
    if target.startswith("sqlite:///"):
        # MLflow would put artifacts into the working directory, wherever the database is.
        database = Path(target.removeprefix("sqlite:///").partition("?")[0])
        location = (database.resolve().parent / "mlruns" / metric_name(name)).as_uri()
    return client.create_experiment(name, artifact_location=location)


def _known_runs(client: MlflowClient, experiment_id: str, run_id: str) -> tuple[Run | None, dict[str, Run]]:
    """The parent and the children (by section) that an earlier invocation of the same run has left."""
    parent = None
    children: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], f"tags.`benchbed.run_id` = '{run_id}'", max_results=1000, page_token=token
        )
        for found in page:
            if found.data.tags.get("benchbed.role") == "parent":
                parent = found
            else:
                children[found.data.tags.get("benchbed.section", "")] = found
        token = page.token
        if not token:
            break
    if parent is None:  # deleted by hand: its children would hang below nothing
        return None, {}
    parent_id = parent.info.run_id
    return parent, {
        section: child
        for section, child in children.items()
        if child.data.tags.get("mlflow.parentRunId") == parent_id
    }


def _child_entries(
    run: RunSummary, method: str, dataset: str, protocol: str, transfer: str, setting: str, rows: pd.DataFrame
) -> _Entries:
    entries = _Entries(
        parameters={
            **run.parameters,
            "method": method,
            "dataset": dataset,
            "protocol": protocol,
            "transfer": transfer,
            **({"setting": setting} if setting else {}),
            "resolution": str(rows["resolution"].iloc[0]),
        }
    )
    variants = rows.groupby("metric")["variant"].nunique()
    for record in rows.to_dict("records"):
        several = variants[record["metric"]] > 1
        name = metric_name(str(record["variant"] if several else record["metric"]))
        step = int(record["step"])
        entries.tags[f"key.{name}"] = str(record["key"])
        entries.tags[f"variant.{name}"] = str(record["variant"])
        if record["status"] != "ok":
            entries.tags[f"{record['status']}.{name}"] = str(record["reason"])
            continue
        entries.metric(name, record["value"], step)
        for bound in BOUNDS:
            entries.metric(f"{name}.{bound}", record[bound], step)
    if bool(rows["partial"].any()):
        entries.tags["benchbed.partial"] = "true"
    costs = run.costs[(run.costs["method"] == method) & (run.costs["dataset"] == dataset)]
    costs = costs[(costs["protocol"] == protocol) & (costs["transfer"] == transfer)]
    costs = costs[[_setting(str(text))[0] == setting for text in costs["setting"]]]
    for record in costs.head(1).to_dict("records"):
        for column, name in COSTS.items():
            entries.metric(name, record[column])
        if record["device"]:
            entries.tags["device"] = str(record["device"])
    return entries


def _write(client: MlflowClient, run: Run, entries: _Entries) -> None:
    """Log what the MLflow run does not hold yet, in one batch (more only beyond MLflow's limits)."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    held = run.data
    # MLflow tells the value of the last step; where that is known, so are the steps before it.
    last = {name: value for (name, _), value in sorted(entries.metrics.items(), key=lambda item: item[0][1])}
    metrics = [
        Metric(name, value, now, step)
        for (name, step), value in entries.metrics.items()
        if held.metrics.get(name) != last[name]
    ]
    # A parameter cannot be changed once logged; the new value is kept as a tag.
    changed = {
        f"changed.{name}": value
        for name, value in entries.parameters.items()
        if name in held.params and held.params[name] != value[:TEXT]
    }
    parameters = [
        Param(name, value[:TEXT]) for name, value in entries.parameters.items() if name not in held.params
    ]
    tags = [
        RunTag(name, value[:TEXT])
        for name, value in {**entries.tags, **changed}.items()
        if held.tags.get(name) != value[:TEXT]
    ]
    while metrics or parameters or tags:
        client.log_batch(
            run.info.run_id,
            metrics[:METRICS_PER_BATCH],
            parameters[:ENTRIES_PER_BATCH],
            tags[:ENTRIES_PER_BATCH],
        )
        metrics = metrics[METRICS_PER_BATCH:]
        parameters = parameters[ENTRIES_PER_BATCH:]
        tags = tags[ENTRIES_PER_BATCH:]


def _tables(client: MlflowClient, parent: Run, run: RunSummary) -> None:
    run_id = parent.info.run_id
    if run.tables_dir.is_dir():
        client.log_artifacts(run_id, str(run.tables_dir), "tables")
    logged = parent.data.tags.get("mlflow.loggedArtifacts", "")
    for table in run.tables:
        shown = _as_shown(table)
        file = f"{table.name}.json"
        if f'"{file}"' in logged:
            # log_table would append to the table of the earlier invocation.
            client.log_text(run_id, shown.to_json(orient="split", index=False), file)
        else:
            client.log_table(run_id, shown, file)


def _as_shown(table: Table) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[str]] = {
        stub: [table.names(row)[position] for row in table.rows] for position, stub in enumerate(table.stubs)
    }
    for position, column in enumerate(table.columns):
        cells = [row.cells[position] for row in table.rows]
        columns[column.full_header] = [
            " ".join(part for part in (cell.text, cell.interval, cell.marks) if part) for cell in cells
        ]
    return pd.DataFrame(columns)


def _strips(samples: list[Path], method: str, dataset: str) -> list[Path]:
    """The method's own strips beside the sample grids of a dataset."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", dataset).strip("._")[:40]
    folders = dict.fromkeys(sample.parent for sample in samples if readable in sample.parent.parent.name)
    return [folder / f"{method}.png" for folder in folders if (folder / f"{method}.png").is_file()]


@contextmanager
def _quick_and_quiet() -> Iterator[None]:
    """Short time-outs and no chatter while MLflow works; the caller's settings win and come back afterwards."""
    settings = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(SECONDS),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_DISABLE_AGENT_HINT": "true",
    }
    added = [name for name in settings if name not in os.environ]
    os.environ.update({name: settings[name] for name in added})
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations between MLflow and its libraries
            yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: Exception) -> str:
    text = (str(error) or type(error).__name__).strip().splitlines()[0]
    # MLflow words these as a chain of library exceptions.
    if "Read timed out" in text or "ConnectTimeout" in text or "timed out" in text:
        return f"the server did not answer within {SECONDS} s"
    if "NewConnectionError" in text or "NameResolutionError" in text or "Connection refused" in text:
        return "no server answers there"
    return text if len(text) <= 300 else f"{text[:297]}..."


def _without_password(uri: str) -> str:
    return re.sub(r"://[^@/]*@", "://", uri)
