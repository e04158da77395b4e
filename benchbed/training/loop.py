"""The training loop: steps, progress, sample grids, resumable checkpoints and the weights at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchbed import __version__
from benchbed.arithmetic import flush_denormals
from benchbed.errors import BenchbedError
from benchbed.frames import to_float
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.training import FramePair, TrainingTask
from benchbed.training.checkpoint import (
    TrainingIdentity,
    identities_digest,
    load_checkpoint,
    save_checkpoint,
)
from benchbed.training.pairs import MEMORY_BUDGET, Batch, PairBatches, step_loader
from benchbed.training.progress import LossLog, TrainingProgress
from benchbed.training.samples import sample_grid, save_grid
from benchbed.weights import write_tensors

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}
CHECKPOINT = "last.ckpt"
SAMPLE_ROWS = 8
SAMPLE_SEED_STEP = 0x73616D70


@dataclass(frozen=True)
class TrainingRun:
    """How to train, beside what: everything here but `seed` and `devices` leaves the result as it is.

    Args:
        method: registered name; names the weights file.
        seed: of pairs, augmentation and the task's own draws (the networks are seeded where they are built).
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `fp32` or `bf16`.
        devices: how many GPUs; each has its own batches, gradients and the statistics of batch norms are averaged.
        workers: processes that prepare batches; None decides.
        memory_budget: bytes of decoded frames to keep.
        save_every: seconds between checkpoints, at least; they wait for the next row of losses.
        log_every, sample_every: steps between loss rows and between sample grids.
        limit_minutes: stop after this wall time, save and export.
        perceptual, command: recorded in the weights.
        start: where the initial weights are from, recorded as well; None for random ones.
    """

    method: str
    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    devices: int = 1
    workers: int | None = None
    memory_budget: int = MEMORY_BUDGET
    save_every: float = 120.0
    log_every: int = 20
    sample_every: int = 500
    limit_minutes: float | None = None
    perceptual: str = ""
    command: str = ""
    start: str | None = None


@dataclass(frozen=True)
class TrainingResult:
    """What a training ended with.

    Args:
        weights: the file.
        step, steps: done and planned.
        losses: the last ones, smoothed.
        main: whether this is the process that writes; false in those of further devices.
    """

    weights: Path
    step: int
    steps: int
    losses: dict[str, float]
    main: bool = True


@dataclass
class _Clock:
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    waited: float = 0.0


def train(
    task: TrainingTask,
    dataset: Dataset,
    run: TrainingRun,
    *,
    out: Path,
    split: str = "train",
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train until the schedule's last step, going on from `out/last.ckpt` where there is one.

    Leaves in `out`: `losses.csv`, `samples/step-NNNNNN.png`, `last.ckpt` and `METHOD.safetensors` (inference
    networks in half precision, with provenance as metadata). Batches and all random draws of a step follow
    from (seed, step), so that a killed and resumed training gives the same weights as one that was not.

    Args:
        task: networks, losses and optimisers; its random initial weights are the caller's to seed.
        dataset: opened at the schedule's resolution.
        run: how to train.
        out: folder for everything that is written.
        split: which clips to train on.
        resume: False starts again and overwrites.
        progress: called every `log_every` steps.

    Raises:
        BenchbedError: a loss is not finite (the last checkpoint is kept), the folder cannot be written, or the
            split or precision does not exist.
        CheckpointError: `last.ckpt` belongs to a training with other settings.
        ClipError: a training clip cannot be decoded.
    """
    flush_denormals()
    fabric = _fabric(run)
    if fabric.is_global_zero:
        _make_folder(out)
    steps = task.schedule.steps
    batches = PairBatches(
        dataset,
        task.schedule,
        split=split,
        seed=run.seed,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
        memory_budget=run.memory_budget,
    )
    identity = TrainingIdentity(
        run.method,
        dataset.fingerprint,
        split,
        run.seed,
        _schedule(task),
        task.export()[1].get("configuration", ""),
        run.perceptual,
        fabric.world_size,
        run.start,
    )
    task.networks.to(fabric.device).train()
    optimizers = task.optimizers()
    schedulers = task.schedulers(optimizers)
    checkpoint = out / CHECKPOINT
    start = 0
    smoothed: dict[str, float] = {}
    if resume and checkpoint.is_file():
        start, smoothed = load_checkpoint(checkpoint, task, optimizers, schedulers, identity=identity)
    log = LossLog(out / "losses.csv", start, smoothed) if fabric.is_global_zero else None

    step = _run_steps(
        fabric, task, batches, optimizers, schedulers, run, out, start, log, progress,
        save=lambda at, losses: save_checkpoint(
            checkpoint, task, optimizers, schedulers, step=at, losses=losses, identity=identity
        ),
    )  # fmt: skip
    losses = dict(log.smoothed) if log else {}
    weights = out / f"{run.method}.safetensors"
    if fabric.is_global_zero:
        tensors, described = task.export()
        provenance = _provenance(
            task, dataset, run, split=split, step=step, losses=losses, ranks=fabric.world_size
        )
        write_tensors(weights, tensors, {**described, **provenance})
    fabric.barrier()
    return TrainingResult(weights, step, steps, losses, fabric.is_global_zero)


def _run_steps(
    fabric: Fabric,
    task: TrainingTask,
    batches: PairBatches,
    optimizers: dict[str, Optimizer],
    schedulers: list[LRScheduler],
    run: TrainingRun,
    out: Path,
    start: int,
    log: LossLog | None,
    progress: Callable[[TrainingProgress], None] | None,
    *,
    save: Callable[[int, dict[str, float]], None],
) -> int:
    """Steps `start` to the last; returns the number of steps done."""
    steps, step = task.schedule.steps, start
    backward = _backward(fabric, task)
    on_gpu = fabric.device.type == "cuda"
    loader = step_loader(batches, start, workers=_workers(run, batches, on_gpu), pin_memory=on_gpu)
    clock = _Clock()
    before = time.monotonic()
    for batch in loader:
        clock.waited += time.monotonic() - before
        torch.manual_seed(_step_seed(run.seed, step, fabric.global_rank))
        pair = _pair(batch, fabric.device)
        with fabric.autocast():
            losses = task.step(pair, optimizers, backward)
        # Each device has its own batches: where norms use what they gathered, all have to use the same.
        _average(fabric, _statistics(task.networks))
        for scheduler in schedulers:
            scheduler.step()
        step += 1
        if log is not None:
            log.add(step, losses)
        late = run.limit_minutes is not None and time.monotonic() - clock.started >= 60 * run.limit_minutes
        # every rank has to stop at the same step, whatever its clock says
        last = step == steps or (fabric.broadcast(late) if fabric.world_size > 1 else late)
        if log is not None:
            if last or step % run.log_every == 0:
                log.write_row(step)
                if progress:
                    progress(_report(task, run, clock, log, step, start))
            if last or step % run.sample_every == 0:
                _save_samples(fabric, task, batches, out, step)
            # Only where a row of losses ends: a resumed training then writes the same rows.
            due = step % run.log_every == 0 and time.monotonic() - clock.saved >= run.save_every
            if last or due:
                log.check()  # nothing is saved that has not been looked at for NaN
                save(step, log.smoothed)
                clock.saved = time.monotonic()
        if last:
            break
        before = time.monotonic()
    return step


def _fabric(run: TrainingRun) -> Fabric:
    if run.precision not in PRECISIONS:
        raise BenchbedError(
            f"cannot train in precision '{run.precision}'; use one of: {', '.join(PRECISIONS)}"
        )
    kind, _, index = run.device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not index.isdigit()):
        raise BenchbedError(f"unknown device '{run.device}'; use auto, cpu, cuda or cuda:N")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    available = torch.cuda.device_count() if kind == "cuda" else os.cpu_count() or 1
    wanted = int(index) + 1 if index else run.devices
    if wanted > available:
        raise BenchbedError(f"device '{run.device}' with {run.devices} devices: this machine has {available}")
    fabric = Fabric(
        accelerator=kind,
        devices=[int(index)] if index else run.devices,
        strategy="ddp" if run.devices > 1 and not index else "auto",
        precision=PRECISIONS[run.precision],
    )
    fabric.launch()
    return fabric


def _backward(fabric: Fabric, task: TrainingTask) -> Callable[[Tensor], None]:
    """Backward pass; with several devices gradients are averaged, again after every further pass of a step.

    Averaging equal gradients changes nothing, so accumulated passes come out as the average of their sums.
    """
    if fabric.world_size == 1:
        return lambda loss: loss.backward()
    parameters = list(task.networks.parameters())

    def averaged(loss: Tensor) -> None:
        loss.backward()
        _average(fabric, [parameter.grad for parameter in parameters if parameter.grad is not None])

    return averaged


def _statistics(networks: nn.Module) -> list[Tensor]:
    """What batch norms gather."""
    return [
        value for name, value in networks.named_buffers() if name.endswith(("running_mean", "running_var"))
    ]


def _average(fabric: Fabric, tensors: list[Tensor]) -> None:
    """Give every device the mean over all of them, in place."""
    if fabric.world_size == 1 or not tensors:
        return
    # One exchange for all of them: hundreds of small ones would take longer than the step.
    flat = torch.cat([one.flatten() for one in tensors])
    mean = cast(Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    for one, part in zip(tensors, mean.split([one.numel() for one in tensors]), strict=True):
        one.copy_(part.view_as(one))


def _workers(run: TrainingRun, batches: PairBatches, on_gpu: bool) -> int:
    if run.workers is not None:
        return run.workers
    spare = max(0, (os.cpu_count() or 1) - 1)
    if batches.store.all_in_memory and not on_gpu:
        return 0  # the networks use every core already, and indexing memory costs next to nothing
    return min(8 if on_gpu else 2, spare)


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _pair(batch: Batch, device: torch.device) -> FramePair:
    frames = to_float(batch.frames.to(device, non_blocking=True))
    references = frames[2:].transpose(0, 1) if len(frames) > 2 else None
    return FramePair(frames[0], frames[1], references, batch.identity.to(device, non_blocking=True))


def _report(
    task: TrainingTask, run: TrainingRun, clock: _Clock, log: LossLog, step: int, start: int
) -> TrainingProgress:
    elapsed = max(time.monotonic() - clock.started, 1e-9)
    speed = (step - start) / elapsed
    left = (task.schedule.steps - step) / speed
    if run.limit_minutes is not None:
        left = max(0.0, min(left, 60 * run.limit_minutes - elapsed))
    return TrainingProgress(
        step, task.schedule.steps, dict(log.smoothed), speed, left, clock.waited / elapsed
    )


def _save_samples(fabric: Fabric, task: TrainingTask, batches: PairBatches, out: Path, step: int) -> None:
    """The same pairs every time, without augmentation, so that grids can be compared."""
    draws = batches.draws(SAMPLE_SEED_STEP)[:SAMPLE_ROWS]
    pair = _pair(batches.plain(draws), fabric.device)
    with torch.no_grad(), fabric.autocast():
        generated = task.sample(pair)
    task.networks.train()
    save_grid(out / "samples" / f"step-{step:06d}.png", sample_grid(pair, generated.float()))


def _provenance(
    task: TrainingTask,
    dataset: Dataset,
    run: TrainingRun,
    *,
    split: str,
    step: int,
    losses: dict[str, float],
    ranks: int,
) -> dict[str, str]:
    schedule = task.schedule
    return {
        "method": run.method,
        "trained_on": dataset.name,
        "trained_on_fingerprint": dataset.fingerprint,
        "train_split": split,
        "train_identities_sha256": identities_digest(clip.identity for clip in dataset.clips(split)),
        "seed": str(run.seed),
        "steps": str(step),
        "planned_steps": str(schedule.steps),
        "batch_size": str(schedule.batch_size * ranks),
        "resolution": str(schedule.resolution),
        "precision": run.precision,
        "perceptual": run.perceptual,
        "final_losses": json.dumps({name: round(value, 6) for name, value in losses.items()}),
        "command": run.command,
        **({} if run.start is None else {"start": run.start}),
        "benchbed": __version__,
        "torch": torch.__version__,
    }


def _schedule(task: TrainingTask) -> dict[str, object]:
    # lists instead of tuples, as a checkpoint gives them back
    return json.loads(json.dumps(asdict(task.schedule)))


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BenchbedError(f"{out} cannot be written: {error.strerror}; choose another --out") from error
