"""One method after the other, one case after the other, each stored at once: what a single process does."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchbed.arithmetic import channels_last
from benchbed.errors import BenchbedError, ClipError, StoreError, WeightsMissingError
from benchbed.executors.generators import Generator, NetworkGenerator, UnusableFramesError
from benchbed.executors.memory import MemoryMeter
from benchbed.executors.unseen import SeenError, provenance_note, require_unseen
from benchbed.frames import to_float
from benchbed.generation import Stopwatch, in_chunks
from benchbed.interfaces.dataset import ClipFrames, Dataset, RandomAccess, frame_count, frames_at
from benchbed.interfaces.method import Method
from benchbed.interfaces.protocol import Case
from benchbed.motion import motion_track
from benchbed.plan import MethodPlan, RunPlan, Section
from benchbed.real_features import CHUNK, FeatureCounts, RealFeatures
from benchbed.scoring import CaseScores, RealClip, SourceFrame, clip_mean, score_chunks
from benchbed.tracking.record import CaseCost, CaseRecord, ScoreRow
from benchbed.tracking.samples import save_strip
from benchbed.tracking.stages import DECODED, ENCODING, StageRecorder
from benchbed.tracking.store import Store

log = logging.getLogger(__name__)

HELD_CLIP_BYTES = 1 << 30


@dataclass
class Outcome:
    """What became of a method: cases computed and failed, and where features of real frames were from, in words."""

    computed: int = 0
    failed: int = 0
    features: list[str] = field(default_factory=list)


class ClipReader:
    """Decoded clips of one dataset: read one ahead in a thread, the latest ones held for the next method.

    Args:
        budget: bytes of decoded frames held at most.
    """

    def __init__(self, dataset: Dataset, budget: int = HELD_CLIP_BYTES) -> None:
        self._dataset = dataset
        self._budget = budget
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")
        self._held: OrderedDict[str, Future[Tensor]] = OrderedDict()

    def ask(self, clip: str) -> None:
        """Start decoding, if the clip is not held."""
        if clip not in self._held:
            self._held[clip] = self._pool.submit(self._dataset.frames, clip)

    def frames(self, clip: str) -> Tensor:
        """uint8 `[T, 3, H, W]`.

        Raises:
            ClipError: the clip cannot be read.
        """
        self.ask(clip)
        self._held.move_to_end(clip)
        try:
            frames = self._held[clip].result()
        except BaseException:
            del self._held[clip]
            raise
        self._shrink(keep=clip)
        return frames

    def source(self, clip: str) -> ClipFrames:
        """The frames of a clip of which perhaps only one is shown: those that are held, else decoded as needed.

        Raises:
            ClipError: the clip cannot be read.
        """
        if clip in self._held or not isinstance(self._dataset, RandomAccess):
            return self.frames(clip)
        return FramesOnDemand(self, clip)

    def frames_at(self, clip: str, numbers: Sequence[int]) -> Tensor:
        """Some frames, uint8 `[N, 3, H, W]`, in this thread beside what is being decoded ahead.

        Raises:
            ClipError: they cannot be read.
        """
        if clip in self._held:
            return self.frames(clip)[list(numbers)]
        return frames_at(self._dataset, clip, numbers)

    def shape(self, clip: str) -> tuple[int, int, int, int]:
        """`(T, 3, H, W)` of a clip."""
        return (frame_count(self._dataset, clip), 3, *self._dataset.resolution)

    def _shrink(self, keep: str) -> None:
        sizes = {
            clip: future.result().nbytes
            for clip, future in self._held.items()
            if future.done() and future.exception() is None
        }
        total = sum(sizes.values())
        for clip in list(sizes):
            if total <= self._budget:
                return
            if clip != keep:
                total -= sizes[clip]
                del self._held[clip]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class FramesOnDemand:
    """The frames of a source clip: single ones are reached directly, the first stretch of several decodes all."""

    def __init__(self, reader: ClipReader, clip: str) -> None:
        self._reader = reader
        self._clip = clip
        self._single: dict[int, Tensor] = {}
        self.shape = reader.shape(clip)

    def __getitem__(self, frames: slice) -> Tensor:
        numbers = range(*frames.indices(self.shape[0]))
        if len(numbers) != 1:
            return self._reader.frames(self._clip)[frames]
        if numbers[0] not in self._single:
            self._single[numbers[0]] = self._reader.frames_at(self._clip, numbers)
        return self._single[numbers[0]]


class Lane:
    """What carries methods out in one process: decoded clips and features of real frames are kept between them.

    Args:
        advance: called for every case that is done, with what was worked on.
        cache: folder of real-frame features, None for the user's (`benchbed.files.cache_folder`).
    """

    def __init__(
        self, plan: RunPlan, store: Store, advance: Callable[[str], None], cache: Path | None = None
    ) -> None:
        if plan.device.startswith("cuda"):
            # TF32 and autotuned kernels change results from run to run.
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
        self.plan = plan
        self.store = store
        self._advance = advance
        self._readers = {section.dataset.name: ClipReader(section.dataset) for section in plan.sections}
        self._features = {
            section.dataset.name: RealFeatures(section.dataset, torch.device(plan.device), cache)
            for section in plan.sections
        }

    def close(self) -> None:
        """End the decoding threads."""
        for reader in self._readers.values():
            reader.close()

    def run(self, method: MethodPlan) -> Outcome:
        """A method through all sections that have cases for it; failures become records, never exceptions.

        Raises:
            StoreError: the results cannot be written; what was stored stays.
        """
        outcome = Outcome()
        plan, todo = self.plan, pending_cases(self.plan, self.store, method)
        memory = MemoryMeter(torch.device(plan.device))
        try:
            if plan.request.transfer not in method.card.data["transfer"]:
                raise BenchbedError(f"{method.name} has no {plan.request.transfer} transfer")
            generator = open_generator(plan, method)
        except StoreError:
            raise
        except Exception as error:  # whatever a plug-in raises is its own row, never the end of the run
            reason = _reason(error)
            # Asked for by name it has failed; among all methods, one without weights is merely not at hand.
            failed = bool(plan.request.methods) or not isinstance(error, WeightsMissingError)
            if failed:
                log.warning("%s cannot be built: %s", method.name, reason)
                log.debug("building %s failed", method.name, exc_info=True)
            for section, cases in todo:
                self._refuse(section, method, cases, reason, outcome, failed=failed)
            return outcome
        counted: dict[str, FeatureCounts] = {}
        warm = False
        for section, cases in todo:
            reader, real = self._readers[section.dataset.name], self._features[section.dataset.name]
            # Settings of one protocol are told together.
            place = section.name.removesuffix(f"/{section.setting}")
            real.counts = counted.setdefault(place, FeatureCounts())
            try:
                if section.protocol.data.get("unseen", False):
                    require_unseen(method.name, generator.trained_on, section.dataset, method.checkpoint)
            except SeenError as error:  # that is an answer, not a failure
                self._refuse(section, method, cases, _reason(error), outcome, failed=False)
                continue
            for position, case in enumerate(cases):
                for ahead in cases[position : position + 2]:
                    reader.ask(ahead.driving)
                try:
                    record = run_case(
                        plan, section, method, generator, case, reader, real, self.store, memory,
                        warm_up=not warm,
                    )  # fmt: skip
                    warm = True
                    outcome.computed += 1
                except StoreError:
                    raise
                except Exception as error:
                    reason = _reason(error)
                    if not isinstance(error, UnusableFramesError):
                        log.warning("%s on %s failed: %s", method.name, case.id, reason)
                    log.debug("case %s failed", case.id, exc_info=True)
                    record = unscored_record(section, method.name, case, reason)
                    outcome.failed += 1
                self.store.put(section.name, method.name, case.id, record)
                self._advance(f"{method.name} {section.dataset.name}")
        outcome.features = [
            f"real-frame features for {method.name} on {place}: {counts}"
            for place, counts in counted.items()
            if str(counts)
        ]
        return outcome

    def _refuse(
        self,
        section: Section,
        method: MethodPlan,
        cases: list[Case],
        reason: str,
        outcome: Outcome,
        *,
        failed: bool,
    ) -> None:
        for case in cases:
            record = unscored_record(
                section, method.name, case, reason, status="failed" if failed else "skipped"
            )
            self.store.put(section.name, method.name, case.id, record)
            self._advance(method.name)
        outcome.failed += len(cases) if failed else 0


def pending_cases(plan: RunPlan, store: Store, method: MethodPlan) -> list[tuple[Section, list[Case]]]:
    """What the store does not hold yet of a method, section by section; sections without such cases are left out."""
    found = []
    for section in plan.sections:
        if method.name in {one.name for one in section.methods}:
            cases = [case for case in section.cases if not store.has(section.name, method.name, case.id)]
            if cases:
                found.append((section, cases))
    return found


def build_method(method: MethodPlan, device: torch.device) -> Method:
    """The method in eval mode on the device."""
    built = method.card.load()(checkpoint=method.checkpoint, configuration=method.configuration)
    if device.type == "cpu":
        channels_last(built)
    return built.to(device).eval()


def open_generator(plan: RunPlan, method: MethodPlan) -> Generator:
    """What gives the method's frames: frames made elsewhere where the plan has them, else its network."""
    if method.frames is not None:
        return method.frames
    return NetworkGenerator(
        method.name,
        build_method(method, torch.device(plan.device)),
        batch_size=plan.request.batch_size,
        precision=plan.request.precision,
    )


def _reason(error: Exception) -> str:
    """One sentence: our own errors speak for themselves, others are named."""
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, BenchbedError) else f"{type(error).__name__}: {text}"[:500]


def run_case(
    plan: RunPlan,
    section: Section,
    method: MethodPlan,
    generator: Generator,
    case: Case,
    reader: ClipReader,
    real: RealFeatures,
    store: Store,
    memory: MemoryMeter,
    *,
    warm_up: bool,
) -> CaseRecord:
    """Generate and score one case.

    Raises:
        ClipError: a clip cannot be read. Anything else the method raises passes through.
    """
    device = torch.device(plan.device)
    started = time.perf_counter()
    target = None if case.target is None else reader.frames(case.target).to(device)
    if method.privileged and target is None:
        raise ClipError(f"{method.name} shows the ground truth, and case '{case.id}' has none")
    driving = target if method.privileged and target is not None else reader.frames(case.driving).to(device)
    if target is not None and target.shape[0] != driving.shape[0]:
        raise ClipError(
            f"clip '{case.target}' has {target.shape[0]} frames and its driving clip '{case.driving}' "
            f"{driving.shape[0]}; they belong together frame by frame"
        )
    source_clip = reader.source(case.source.clip)
    drawn = () if case.references is None else case.references.frames(source_clip.shape[0])
    source_frame, shown = _views(case, method, drawn)
    references = to_float(reader.frames_at(case.source.clip, shown).to(device)) if shown else None
    source = to_float(source_clip[source_frame : source_frame + 1].to(device))
    decoding = time.perf_counter() - started
    stages = _decoded_stages(case, source, references, driving, target)

    def batches(stopwatch: Stopwatch, encoded: Callable[[Any], None] | None = None):
        return generator.frames(
            case, source, driving, references, stopwatch=stopwatch, memory=memory, encoded=encoded
        )

    if warm_up and generator.timed:
        # The first call pays for kernels and buffers; frames/s is about the method.
        next(batches(Stopwatch(device)), None)
    stopwatch = Stopwatch(device)
    strip_frames = _strip_frames(plan, section, case, driving.shape[0])
    kept: dict[int, Tensor] = {}

    def watched():
        seen = 0
        for chunk in in_chunks(batches(stopwatch, lambda encoding: stages.add(ENCODING, encoding)), CHUNK):
            for frame in strip_frames:
                if seen <= frame < seen + chunk.shape[0]:
                    kept[frame] = chunk[frame - seen].cpu()
            seen += chunk.shape[0]
            yield chunk

    started = time.perf_counter()
    scores = score_chunks(
        watched(),
        None if case.target is None or target is None else RealClip(case.target, target),
        SourceFrame(RealClip(case.source.clip, source_clip), source_frame, device, real),
        list(section.measures),
        real,
        stages,
    )
    total = time.perf_counter() - started
    motion = motion_track(
        section.dataset,
        RealClip(case.source.clip, source_clip),
        source_frame,
        RealClip(case.driving, reader.frames(case.driving)),
        section.points,
        real,
    )
    if kept:
        save_strip(store, section.name, method.name, case.id, [kept[frame] for frame in sorted(kept)])
    cost = CaseCost(
        frames=int(driving.shape[0]),
        generation_seconds=stopwatch.seconds,
        scoring_seconds=total - stopwatch.seconds,
        decoding_seconds=decoding,
        peak_memory_bytes=memory.peak,
        parameters=generator.parameters,
        device=_device_name(device) if generator.timed else "",
    )
    return CaseRecord(
        rows=tuple(_rows(section, method.name, case, scores, int(driving.shape[0]), shown or drawn[-1:])),
        frame_values=scores.frame_values,
        set_features=scores.set_features,
        cost=cost,
        notes=_notes(generator, method, section),
        stages=stages.digests(),
        motion=motion.pixels,
        motion_from=motion.measured_with,
    )


def _decoded_stages(
    case: Case, source: Tensor, references: Tensor | None, driving: Tensor, target: Tensor | None
) -> StageRecorder:
    stages = StageRecorder()
    stages.add(DECODED, source, "source")
    if references is not None:
        stages.add(DECODED, references, "references")
    stages.add(DECODED, driving, "driving")
    if target is driving:
        stages.repeat(DECODED, "driving", "target")
    elif target is not None:
        stages.add(DECODED, target, "target")
    return stages


def _views(case: Case, method: MethodPlan, drawn: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """The frame that is the source, and the frames of its clip that a method is to fuse with it."""
    if not drawn or method.few_shot:
        return case.source.frame, drawn
    # A one-shot method takes one view at a time; the best over the settings so far is the aggregate's business.
    return drawn[-1], ()


def _strip_frames(plan: RunPlan, section: Section, case: Case, count: int) -> list[int]:
    sampled = [c.id for c in section.cases[: plan.request.save_samples]]
    if case.id not in sampled:
        return []
    return sorted({round(i * (count - 1) / 7) for i in range(8)})


def _device_name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads{', beside other methods' if parent_process() else ''}"
    )


def _notes(generator: Generator, method: MethodPlan, section: Section) -> tuple[str, ...]:
    notes = generator.notes(section.dataset.name, section.dataset.resolution)
    if not section.protocol.data.get("unseen", False):
        return notes
    origin = provenance_note(method.name, generator.trained_on)
    return (*notes, origin) if origin else notes


def _rows(
    section: Section, method: str, case: Case, scores: CaseScores, frames: int, references: tuple[int, ...]
) -> list[ScoreRow]:
    rows = []
    for measure in section.measures:
        value, n, n_missing, status = float("nan"), 0, 0, "skipped"
        if not measure.reason and measure.level == "frame":
            mean = clip_mean(scores.frame_values[measure.variant])
            value, n, n_missing, status = mean.value, mean.n, mean.n_missing, "ok"
        elif not measure.reason:
            n, status = frames - measure.skip_first, "ok"
        row = _row(section, method, case, measure, value, n, n_missing, status, measure.reason)
        rows.append(replace(row, references=",".join(map(str, references))))
    return rows


def unscored_record(
    section: Section, method: str, case: Case, reason: str, *, status: str = "failed"
) -> CaseRecord:
    """A record that says why there are no scores; skipped metrics stay skipped."""
    return CaseRecord(
        rows=tuple(
            _row(
                section, method, case, m, float("nan"), 0, 0,
                "skipped" if m.reason else status, m.reason or reason,
            )
            for m in section.measures
        )
    )  # fmt: skip


def _row(section, method, case, measure, value, n, n_missing, status, reason) -> ScoreRow:
    return ScoreRow(
        method=method,
        dataset=section.dataset.name,
        protocol=section.protocol.name,
        transfer=case.transfer,
        setting=case.setting,
        case=case.id,
        identity=case.identity,
        driving_identity=case.driving_identity,
        metric=measure.metric,
        variant=measure.variant,
        value=value,
        n=n,
        n_missing=n_missing,
        status=status,
        reason=reason,
        evaluator=measure.evaluator_names,
        key=measure.key,
        tags=",".join(case.tags),
    )
