"""From what was asked to a frozen plan: cases x methods x metric variants, with everything that decides the numbers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchbed import __version__
from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.protocol import Case
from benchbed.measuring import Instrument, Instruments, Unavailable, choose_evaluator
from benchbed.registry import Card, card, cards, code_fingerprint, load_entry
from benchbed.scoring import Measure
from benchbed.tracking.record import ComparabilityKey


@dataclass(frozen=True)
class RunRequest:
    """What the command line (or a test) asks for; see `benchbed run --help` for the meaning of each."""

    protocols: tuple[str, ...]
    methods: tuple[str, ...] = ()  # empty: all
    datasets: tuple[str, ...] = ("puppets",)
    metrics: tuple[str, ...] = ()  # names or variant ids; empty: the protocol's, default variants
    checkpoints: dict[str, Path] = field(default_factory=dict)
    configurations: dict[str, str] = field(default_factory=dict)
    evaluators: dict[str, str] = field(
        default_factory=dict
    )  # evaluator by metric, instead of the default one
    transfer: str = "absolute"
    split: str = "test"
    resolution: int | None = None
    domain: str | None = None
    alpha: str | None = None
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int = 16
    limit: int | None = None
    seed: int = 0
    save_samples: int = 2


@dataclass(frozen=True)
class MethodPlan:
    """One method with the weights it will run with.

    Args:
        checkpoint: None for methods without weights, or where none is at hand (building then fails and says so).
        fingerprint: over code, configuration and the bytes of the checkpoint.
    """

    card: Card
    checkpoint: Path | None
    configuration: str | None
    fingerprint: str

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def privileged(self) -> bool:
        """Whether the method is handed the ground truth as driving frames (`oracle`)."""
        return bool(self.card.data.get("privileged", False))


@dataclass(frozen=True)
class Section:
    """The cases of one protocol on one dataset and the measures they are scored with."""

    name: str
    protocol: Card
    dataset: Dataset
    cases: tuple[Case, ...]
    available: int
    measures: tuple[Measure, ...]
    keys: dict[str, ComparabilityKey]

    @property
    def partial(self) -> bool:
        return len(self.cases) < self.available


@dataclass(frozen=True)
class RunPlan:
    """Everything a run will do."""

    request: RunRequest
    sections: tuple[Section, ...]
    methods: tuple[MethodPlan, ...]
    device: str
    run_id: str


def pick_device(device: str) -> str:
    """`auto` is the first CUDA device where there is one, else the CPU.

    Raises:
        BenchbedError: a device that torch does not offer here.
    """
    import torch

    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BenchbedError(
            f"device '{device}' cannot be used here: {str(error).splitlines()[0]}; try --device cpu"
        ) from error
    return device


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def plan_method(name: str, request: RunRequest) -> MethodPlan:
    """A method with its checkpoint: the one given, else the bundled one.

    Raises:
        UnknownNameError: no such method.
        BenchbedError: the checkpoint given does not exist, or the method does not take one.
    """
    method = card("method", name)
    given = request.checkpoints.get(name)
    if given is not None:
        if not given.is_file():
            raise BenchbedError(
                f"checkpoint '{given}' for {name} does not exist; give the path of a weights file"
            )
        if method.data.get("role") == "reference":
            raise BenchbedError(f"method '{name}' has no weights; leave out --checkpoint {name}=...")
    bundled = method.data.get("checkpoints", {}).get("puppets")
    bundled_path = method.folder / bundled if bundled else None
    checkpoint = given or (bundled_path if bundled_path is not None and bundled_path.is_file() else None)
    configuration = request.configurations.get(name)
    fingerprint = hashlib.sha256(
        json.dumps(
            [
                name,
                code_fingerprint(method.package),
                configuration,
                _file_digest(checkpoint) if checkpoint else None,
            ]
        ).encode()
    ).hexdigest()[:16]
    return MethodPlan(method, checkpoint, configuration, fingerprint)


def metric_variants(names: tuple[str, ...]) -> list[tuple[Card, dict]]:
    """Cards and variant tables for metric names (their default variant) and variant ids, in the order given.

    Raises:
        UnknownNameError: no such metric.
        BenchbedError: the metric has no such variant.
    """
    chosen = []
    for name in names:
        metric = card("metric", name.split("/")[0])
        variants = metric.data["variant"]
        if "/" in name:
            found = [v for v in variants if name in (v["id"], f"{v['id']}@{v['version']}")]
            if not found:
                known = ", ".join(v["id"] for v in variants)
                raise BenchbedError(f"metric '{metric.name}' has no variant '{name}'; known: {known}")
        else:
            found = [v for v in variants if v.get("default", False)]
        chosen.append((metric, found[0]))
    return chosen


def plan_measure(
    metric: Card,
    variant: dict,
    dataset: Dataset,
    protocol: Card,
    request: RunRequest,
    instruments: Instruments,
) -> tuple[Measure, ComparabilityKey]:
    """One metric variant on one dataset: its scorer and evaluators, or the reason there are none."""
    used: dict[str, Instrument] = {}
    canonical = True
    reason = ""
    height, width = dataset.resolution
    minimum = variant.get("minimum_size", 0)
    if min(height, width) < minimum:
        reason = f"frames are {width}x{height}, {metric.data['title']} needs at least {minimum} pixels on the smaller side"
    for role in variant["needs"] if not reason else ():
        by_variant = variant.get("evaluators", {}).get(role)
        choice = choose_evaluator(
            role,
            metric.name,
            dataset,
            named=by_variant or request.evaluators.get(metric.name),
            by_variant=by_variant is not None,
        )
        if isinstance(choice, Unavailable):
            reason = choice.reason
            break
        found = instruments.get(choice)
        if isinstance(found, Unavailable):
            reason = found.reason
            break
        canonical = canonical and choice.canonical
        used[role] = found
    variant_id = f"{variant['id']}@{variant['version']}"
    key = ComparabilityKey(
        metric=metric.name,
        variant=variant_id,
        evaluators=",".join(instrument.evaluator.fingerprint for instrument in used.values()),
        protocol=f"{protocol.name}@{protocol.data['version']}",
        dataset=dataset.fingerprint,
        split=request.split,
        resolution=f"{width}x{height}",
        transfer=request.transfer,
        precision=request.precision,
        decoder=dataset.decoder,
    )
    scorer = None
    if not reason:
        scorer = load_entry(variant["entry"], owner=f"metric variant '{variant['id']}'")(
            **variant.get("params", {})
        )
    measure = Measure(
        metric=metric.name,
        variant=variant_id,
        level=metric.data["level"],
        quantisation=variant["quantisation"],
        reduction=variant["reduction"],
        scorer=scorer,
        instruments=used,
        reason=reason,
        key=key.digest(),
        canonical=canonical,
        skip_first=variant.get("frames", "all") == "after-first",
        against_source=variant.get("against", "target") == "source",
    )
    return measure, key


def plan_section(
    protocol_name: str, dataset: Dataset, request: RunRequest, instruments: Instruments
) -> Section:
    """The cases and measures of one protocol on one dataset."""
    protocol_card = card("protocol", protocol_name)
    protocol = protocol_card.load()()
    if request.transfer not in protocol_card.data["transfer"]:
        raise BenchbedError(
            f"protocol '{protocol_name}' has no transfer '{request.transfer}'; "
            f"known: {', '.join(protocol_card.data['transfer'])}"
        )
    cases = protocol.cases(dataset, split=request.split, seed=request.seed, transfer=request.transfer)
    names = request.metrics or protocol.metrics(dataset.domain)
    planned = [
        plan_measure(metric, variant, dataset, protocol_card, request, instruments)
        for metric, variant in metric_variants(tuple(names))
    ]
    return Section(
        name=f"{protocol_name}/{dataset.name}/{request.transfer}",
        protocol=protocol_card,
        dataset=dataset,
        cases=tuple(cases[: request.limit]),
        available=len(cases),
        measures=tuple(measure for measure, _ in planned),
        keys={measure.key: key for measure, key in planned},
    )


def build_plan(request: RunRequest) -> RunPlan:
    """Check everything that can be checked before work starts, and fix what the run will do.

    Raises:
        BenchbedError: an unknown name, a path that does not exist, an option that does not fit.
    """
    import torch

    # Names first: a typing mistake is answered before anything heavy happens.
    for protocol in request.protocols:
        card("protocol", protocol)
    if request.metrics:
        metric_variants(request.metrics)
    names = request.methods or tuple(method.name for method in cards("method"))
    methods = tuple(plan_method(name, request) for name in dict.fromkeys(names))
    for name in [*request.checkpoints, *request.configurations]:
        card("method", name)
    for metric, evaluator in request.evaluators.items():
        card("metric", metric)
        card("evaluator", evaluator)
    if request.limit is not None and request.limit < 1:
        raise BenchbedError(f"--limit {request.limit} leaves no case; give a number of at least 1")
    device = pick_device(request.device)
    instruments = Instruments(torch.device(device))
    sections = tuple(
        plan_section(
            protocol,
            open_dataset(name, resolution=request.resolution, domain=request.domain, alpha=request.alpha),
            request,
            instruments,
        )
        for protocol in request.protocols
        for name in request.datasets
    )
    names_used = [section.name for section in sections]
    for name in names_used:
        if names_used.count(name) > 1:
            raise BenchbedError(
                f"two datasets of this run are called '{name.split('/')[1]}'; rename one of the folders"
            )
    return RunPlan(request, sections, methods, device, _run_id(request, sections, methods, device))


def _run_id(
    request: RunRequest, sections: tuple[Section, ...], methods: tuple[MethodPlan, ...], device: str
) -> str:
    """Readable, and equal exactly where the same command on the same inputs and code would give the same numbers."""
    decisive = asdict(request)
    decisive.pop("datasets")  # paths; the fingerprints below say what they hold
    decisive["checkpoints"] = decisive["configurations"] = None  # in the methods' fingerprints
    text = json.dumps(
        [
            __version__,
            code_fingerprint("benchbed"),
            sorted({code_fingerprint(card.package) for section in sections for card in [section.protocol]}),
            code_fingerprint("benchbed.metrics"),
            decisive,
            device.split(":")[0],
            [
                [
                    section.name,
                    [case.id for case in section.cases],
                    [[m.variant, m.key, m.reason] for m in section.measures],
                ]
                for section in sections
            ],
            [[method.name, method.fingerprint] for method in methods],
        ]
    )
    head = "-".join(dict.fromkeys(part for section in sections for part in section.name.split("/")[:2]))
    return f"{head}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
