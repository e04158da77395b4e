"""From what was asked to a frozen plan: cases x methods x metric variants, with everything that decides the numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchbed import __version__
from benchbed.arithmetic import flush_denormals
from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.listed import ListedDataset
from benchbed.interfaces.protocol import Case, CaseRequest, Protocol
from benchbed.measuring import Instrument, Instruments, Unavailable, choose_evaluator
from benchbed.pair_lists import match_pairs, read_pair_list
from benchbed.registry import Card, card, cards, code_fingerprint, load_entry
from benchbed.scoring import Measure
from benchbed.tracking.record import ComparabilityKey

if TYPE_CHECKING:
    from benchbed.executors.generators import Generator


ANY_NUMBER = "any"  # of further views a method fuses, as its card says; 0 for one-shot methods


@dataclass(frozen=True)
class RunRequest:
    """What the command line (or a test) asks for; see `benchbed run --help` for the meaning of each."""

    protocols: tuple[str, ...]
    methods: tuple[str, ...] = ()  # empty: all
    datasets: tuple[str, ...] = ()  # empty: the protocol's, which is `puppets` for most
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
    pairs: Path | int | None = (
        None  # a published list, or how many to draw; None: as many as the protocol draws
    )
    seed: int = 0
    save_samples: int = 2
    settings: tuple[str, ...] = ()  # of protocols that have several (`reconstruction N_ref=3`); empty: all


@dataclass(frozen=True)
class MethodPlan:
    """One method with the weights it will run with.

    Args:
        checkpoint: None for methods without weights, or where none is at hand (building then fails and says so).
        fingerprint: over code, configuration and the bytes of the checkpoint.
        variant: name of the ablation variant, empty for the full method.
        frames: what gives its frames where they were made elsewhere; None: the network that the card names.
    """

    card: Card
    checkpoint: Path | None
    configuration: str | None
    fingerprint: str
    variant: str = ""
    frames: Generator | None = None

    @property
    def name(self) -> str:
        return f"{self.card.name}.{self.variant}" if self.variant else self.card.name

    @property
    def few_shot(self) -> bool:
        """Whether it fuses further views of the source."""
        return self.card.data["references"] == ANY_NUMBER

    @property
    def privileged(self) -> bool:
        """Whether the method is handed the ground truth as driving frames (`oracle`)."""
        return bool(self.card.data.get("privileged", False))


@dataclass(frozen=True)
class Section:
    """Cases of one protocol on one dataset that are averaged together, and the measures they are scored with.

    Args:
        setting: what tells them apart from other cases of the protocol, empty where it has one setting only.
        available: how many cases there would be without `--limit`.
        incomplete: `471 of 495` where the data set lacks clips of its split, else empty.
        methods: those that take part.
        points: finds the key points by which motion is measured, where the data set does not know them; None: nothing.
        notes: sentences a reader of its table has to know.
    """

    name: str
    protocol: Card
    dataset: Dataset
    setting: str
    cases: tuple[Case, ...]
    available: int
    measures: tuple[Measure, ...]
    keys: dict[str, ComparabilityKey]
    methods: tuple[MethodPlan, ...]
    points: Instrument | None = None
    notes: tuple[str, ...] = ()
    incomplete: str = ""

    @property
    def limited(self) -> bool:
        """Whether `--limit` left cases out."""
        return len(self.cases) < self.available

    @property
    def partial(self) -> bool:
        """Whether its numbers are those of a part of the split: never a baseline, never a row beside full ones."""
        return self.limited or bool(self.incomplete)


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
    return _method_plan(method, checkpoint, request.configurations.get(name))


def _method_plan(
    method: Card, checkpoint: Path | None, configuration: str | None, variant: str = ""
) -> MethodPlan:
    digest = _file_digest(checkpoint) if checkpoint else None
    decisive = [method.name, variant, code_fingerprint(method.package), configuration, digest]
    fingerprint = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:16]
    return MethodPlan(method, checkpoint, configuration, fingerprint, variant)


def ablation_variants(method: MethodPlan) -> tuple[MethodPlan, ...]:
    """The variants that a method's card names, with their own weights or another configuration of the full ones.

    A variant that is trained with a preset of its own has no weights where none are bundled: its row says so.
    """
    variants = []
    for variant in method.card.data.get("ablation", []):
        bundled = variant.get("checkpoints", {}).get("puppets")
        own = None if "preset" in variant else method.checkpoint
        checkpoint = method.card.folder / bundled if bundled else own
        configuration = variant.get("configuration", method.configuration)
        variants.append(_method_plan(method.card, checkpoint, configuration, variant["name"]))
    return tuple(variants)


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
    protocol: str,
    request: RunRequest,
    instruments: Instruments,
    cases: Sequence[Case],
) -> tuple[Measure, ComparabilityKey]:
    """One metric variant on one dataset: its scorer and evaluators, or the reason there are none.

    Args:
        protocol: with version, and with setting and pair list where there are any.
        cases: that it is to score.
    """
    used: dict[str, Instrument] = {}
    canonical = True
    against_source = variant.get("against", "target") == "source"
    reason = ""
    if not against_source and any(case.target is None for case in cases):
        reason = (
            "these cases have no ground-truth frames; the variants called source-... compare with the source"
        )
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
        protocol=protocol,
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
        against_source=against_source,
    )
    return measure, key


def plan_sections(
    protocol: Card,
    dataset: Dataset,
    request: RunRequest,
    methods: tuple[MethodPlan, ...],
    instruments: Instruments,
) -> list[Section]:
    """The cases and measures of one protocol on one dataset, a section per setting."""
    wanted, listed, notes = _case_request(protocol, dataset, request)
    rules = protocol.load()()
    by_setting = _chosen_settings(protocol, plan_cases(protocol, dataset, request, wanted), request, methods)
    return [
        _section(protocol, rules, dataset, request, methods, instruments, setting, cases, listed, notes)
        for setting, cases in by_setting.items()
    ]


def plan_cases(
    protocol: Card, dataset: Dataset, request: RunRequest, wanted: CaseRequest | None = None
) -> dict[str, list[Case]]:
    """The cases of one protocol on one dataset by setting, before `--limit`; no evaluator is built for that.

    Args:
        wanted: what cases to make, where that is worked out already.

    Raises:
        BenchbedError: the protocol has no such transfer; or whatever the dataset or the pair list lacks.
    """
    if request.transfer not in protocol.data["transfer"]:
        raise BenchbedError(
            f"protocol '{protocol.name}' has no transfer '{request.transfer}'; "
            f"known: {', '.join(protocol.data['transfer'])}"
        )
    wanted = wanted or _case_request(protocol, dataset, request)[0]
    by_setting: dict[str, list[Case]] = {}
    for case in protocol.load()().cases(dataset, wanted):
        by_setting.setdefault(case.setting, []).append(case)
    return by_setting


def _chosen_settings(
    protocol: Card, by_setting: dict[str, list[Case]], request: RunRequest, methods: tuple[MethodPlan, ...]
) -> dict[str, list[Case]]:
    """Those that the request names; all where it names none, or the protocol has one alone.

    Raises:
        BenchbedError: a setting that is not there; or a one-shot method, scored by the best of all views up to a
            setting, is to leave some of them out.
    """
    if not request.settings or list(by_setting) == [""]:
        return by_setting
    known, chosen = list(by_setting), set(request.settings)
    for name in request.settings:
        if name not in by_setting:
            raise BenchbedError(
                f"protocol '{protocol.name}' has no setting '{name}'; known: {', '.join(known)}"
            )
        before = [
            one for one in known[: known.index(name)] if one.partition("=")[0] == name.partition("=")[0]
        ]
        one_shot = next((method.name for method in methods if not method.few_shot), None)
        if one_shot is not None and not chosen.issuperset(before):
            raise BenchbedError(
                f"{one_shot} takes one view at a time and is scored by the best of all views up to '{name}'; name "
                f"the settings before it too: {', '.join(before)}"
            )
    return {name: cases for name, cases in by_setting.items() if name in chosen}


def _section(
    protocol: Card,
    rules: Protocol,
    dataset: Dataset,
    request: RunRequest,
    methods: tuple[MethodPlan, ...],
    instruments: Instruments,
    setting: str,
    cases: list[Case],
    listed: str,
    notes: tuple[str, ...],
) -> Section:
    names = request.metrics or _applicable(dataset, rules.metrics(dataset.domain, cases))
    version = f"{protocol.name}@{protocol.data['version']}"
    described = " ".join(part for part in (version, setting, listed) if part)
    planned = [
        plan_measure(metric, variant, dataset, described, request, instruments, cases)
        for metric, variant in metric_variants(tuple(names))
    ]
    return Section(
        name="/".join(part for part in (protocol.name, dataset.name, request.transfer, setting) if part),
        protocol=protocol,
        dataset=dataset,
        setting=setting,
        cases=tuple(cases[: request.limit]),
        available=len(cases),
        measures=tuple(measure for measure, _ in planned),
        keys={measure.key: key for measure, key in planned},
        methods=methods,
        points=_motion_instrument(dataset, cases, [measure for measure, _ in planned], instruments),
        notes=notes,
        incomplete=dataset.incomplete(request.split) if isinstance(dataset, ListedDataset) else "",
    )


def _applicable(dataset: Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """Those of a protocol's metrics that apply to the data set, where it says which do."""
    if not isinstance(dataset, ListedDataset):
        return tuple(names)
    return tuple(name for name in names if name.partition("/")[0] in dataset.metrics)


def _motion_instrument(
    dataset: Dataset, cases: list[Case], measures: list[Measure], instruments: Instruments
) -> Instrument | None:
    """What a measure finds key points with anyway; without ground truth, what AKD would find them with."""
    for measure in measures:
        if not measure.reason and "keypoints" in measure.instruments:
            return measure.instruments["keypoints"]
    if all(case.target is not None for case in cases) or dataset.keypoints(cases[0].driving) is not None:
        return None
    choice = choose_evaluator("keypoints", "akd", dataset, named=None, by_variant=False)
    found = choice if isinstance(choice, Unavailable) else instruments.get(choice)
    return None if isinstance(found, Unavailable) else found


def _case_request(
    protocol: Card, dataset: Dataset, request: RunRequest
) -> tuple[CaseRequest, str, tuple[str, ...]]:
    """What cases to make, what the comparability key says of them, and notes for the table."""
    # A drawn data set states how many cases of a protocol suffice for it: it is there to be quick.
    own = {one.name: one for one in cards("dataset")}.get(dataset.name)
    fewer = own.data.get("protocols", {}).get(protocol.name, {}) if own is not None else {}
    drawn = CaseRequest(
        split=request.split,
        seed=request.seed,
        transfer=request.transfer,
        pair_count=fewer.get("pairs", protocol.data.get("pairs", 200)),
        case_count=fewer.get("cases"),
    )
    if request.pairs is None or not protocol.data.get("takes_pair_lists", False):
        described = f"pairs={drawn.pair_count} seed={drawn.seed}" if "pairs" in protocol.data else ""
        return drawn, described, ()
    if isinstance(request.pairs, int):
        more = replace(drawn, pair_count=request.pairs, case_count=None)
        return more, f"pairs={more.pair_count} seed={more.seed}", ()
    listed = read_pair_list(request.pairs)
    matched = match_pairs(listed, [clip.id for clip in dataset.clips(request.split)], dataset.name)
    digest = hashlib.sha256(json.dumps(matched.pairs).encode()).hexdigest()[:8]
    published = dataset.published_pairs(listed.sha256) if isinstance(dataset, ListedDataset) else ""
    note = f"pairs of {listed.name} (sha256 {listed.sha256[:12]}...{f', {published}' if published else ''})"
    notes = (note, matched.note) if matched.note else (note,)
    # The draw of references still has a seed; the pairs have none.
    return replace(drawn, pairs=matched.pairs, case_count=None), f"pairs={digest}", notes


def build_plan(request: RunRequest, methods: tuple[MethodPlan, ...] | None = None) -> RunPlan:
    """Check everything that can be checked before work starts, and fix what the run will do.

    Args:
        request: what is asked for.
        methods: those that take part in every protocol, where they are planned already (frames made elsewhere)
            instead of named by the request.

    Raises:
        BenchbedError: an unknown name, a path that does not exist, an option that does not fit.
    """
    import torch

    # The self-tests of evaluators start torch's threads.
    flush_denormals()
    # Names first: a typing mistake is answered before anything heavy happens.
    for name in request.protocols:
        card("protocol", name)
    if request.metrics:
        metric_variants(request.metrics)
    names = request.methods or tuple(method.name for method in cards("method"))
    planned = methods or tuple(plan_method(name, request) for name in dict.fromkeys(names))
    for name in [*request.checkpoints, *request.configurations]:
        card("method", name)
    for metric, evaluator in request.evaluators.items():
        card("metric", metric)
        card("evaluator", evaluator)
    if request.limit is not None and request.limit < 1:
        raise BenchbedError(f"--limit {request.limit} leaves no case; give a number of at least 1")
    device = pick_device(request.device)
    instruments = Instruments(torch.device(device))
    sections: list[Section] = []
    opened: dict[str, Dataset] = {}
    for protocol in (card("protocol", name) for name in dict.fromkeys(request.protocols)):
        for name in request.datasets or (protocol.data.get("default_dataset", "puppets"),):
            if name not in opened:
                opened[name] = open_dataset(
                    name,
                    resolution=request.resolution,
                    domain=request.domain,
                    alpha=request.alpha,
                    split=request.split,
                )
            taking_part = methods or _taking_part(protocol, planned, request)
            sections += plan_sections(protocol, opened[name], request, taking_part, instruments)
    names_used = [section.name for section in sections]
    for name in names_used:
        if names_used.count(name) > 1:
            raise BenchbedError(
                f"two datasets of this run are called '{name.split('/')[1]}'; rename one of the folders"
            )
    everyone = tuple({method.name: method for section in sections for method in section.methods}.values())
    return RunPlan(
        request, tuple(sections), everyone, device, _run_id(request, tuple(sections), everyone, device)
    )


def _taking_part(
    protocol: Card, methods: tuple[MethodPlan, ...], request: RunRequest
) -> tuple[MethodPlan, ...]:
    """All methods; in an ablation those with variants, each followed by its own."""
    if not protocol.data.get("variants", False):
        return methods
    variants = {method.name: ablation_variants(method) for method in methods}
    for name, own in variants.items():
        if not own and request.methods:
            able = [one.name for one in cards("method") if one.data.get("ablation")]
            raise BenchbedError(
                f"method '{name}' names no variants to ablate; methods that do: {', '.join(able) or 'none'}"
            )
    return tuple(
        one for method in methods if variants[method.name] for one in (method, *variants[method.name])
    )


def _run_id(
    request: RunRequest, sections: tuple[Section, ...], methods: tuple[MethodPlan, ...], device: str
) -> str:
    """Readable, and equal exactly where the same command on the same inputs and code would give the same numbers."""
    decisive = asdict(request)
    decisive.pop("datasets")  # paths; the fingerprints below say what they hold
    decisive.pop("pairs")  # in the cases
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
                    [repr(case) for case in section.cases],
                    [[m.variant, m.key, m.reason] for m in section.measures],
                ]
                for section in sections
            ],
            [
                [section.name, method.name, method.fingerprint]
                for section in sections
                for method in section.methods
            ],
        ]
    )
    head = "-".join(dict.fromkeys(part for section in sections for part in section.name.split("/")[:2]))
    return f"{head}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
