"""Whether a root is the split it claims to be: every frame decoded, every deviation named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.dataset import counts_by_papers, scan_root
from benchbed.datasets.standard.decoding import ClipCheck, check_clips
from benchbed.datasets.standard.expectation import Expectation, expectations
from benchbed.datasets.standard.findings import KINDS, Finding, SplitVerdict, Verification
from benchbed.datasets.standard.leaks import leaks
from benchbed.datasets.standard.lists import SplitList, published_pairs
from benchbed.datasets.standard.manifest import Manifest, SplitRecord, clip_key, names_sha256
from benchbed.errors import BenchbedError
from benchbed.pair_lists import PairList

SAME_RATE = 0.01  # containers round their frame rate
NAMED = 3

Size = tuple[int, int]


def verify_root(
    card: StandardCard,
    root: Path,
    manifest: Manifest | None,
    lists: Sequence[SplitList] = (),
    pairs: Sequence[PairList] = (),
    *,
    resolution: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Verification:
    """Decode everything and compare it with the lists given, else with the manifest's, else with the card's counts.

    Args:
        card: of the data set.
        root: prepared, or cut by other tools.
        manifest: of the root, None where it has none.
        lists: that the splits should follow.
        pairs: lists of pairs of test clips.
        resolution: frames should be square, this many pixels; None takes the manifest's, else the one of the card's
            that most clips have.
        workers: decoding processes.
        progress: told (clips done, clips in all, clip) after each clip.

    Raises:
        BenchbedError: the root holds no clip, or two lists name the clips of one split.
    """
    scans = scan_root(root, card)
    total = sum(len(found.clips) for found in scans.values())
    if not total:
        raise BenchbedError(
            f"{root} holds no clip; give the folder that has {' and '.join(card.splits)} in it"
        )
    expected = expectations(card, sorted(scans), lists, manifest)
    done = 0
    checks: dict[str, list[ClipCheck]] = {}
    for split, found in scans.items():
        checks[split] = []
        for check in check_clips(found.clips, card.alpha, workers):
            checks[split].append(check)
            done += 1
            if progress is not None:
                progress(done, total, check.id)
        checks[split].sort(key=lambda check: check.id)
    size = _expected_size(card, manifest, resolution, checks)
    findings: list[Finding] = []
    for split, expectation in expected.items():
        own = checks.get(split, [])
        record = manifest.split(split) if manifest is not None else None
        findings += _clips(split, own, size, record)
        findings += _names(split, checks, expectation)
        findings += _lengths(card, split, own, expectation)
        findings += _rates(card, split, own, record)
        findings += _counts(card, split, own, expectation)
        findings += _notes(split, own, scans[split].ignored if split in scans else ())
    findings += leaks(card, checks)
    findings += [_pairs(card, listed, checks.get("test", ())) for listed in pairs]
    order = list(KINDS)
    findings.sort(key=lambda one: (not one.deviation, order.index(one.kind), one.split, one.clip))
    verdicts = [_verdict(split, checks.get(split, []), one) for split, one in expected.items()]
    return Verification(card.name, root, tuple(verdicts), tuple(findings))


def _verdict(split: str, checks: Sequence[ClipCheck], expectation: Expectation) -> SplitVerdict:
    names = {clip_key(check.id) for check in checks}
    decodable = {clip_key(check.id) for check in checks if not check.problem}
    listed = expectation.names
    return SplitVerdict(
        name=split,
        present=len(decodable if listed is None else decodable & listed),
        expected=None if listed is None else len(listed),
        frames=sum(check.frames for check in checks),
        names_sha256=names_sha256(names),
        basis=expectation.basis,
    )


def _expected_size(
    card: StandardCard,
    manifest: Manifest | None,
    resolution: int | None,
    checks: Mapping[str, Sequence[ClipCheck]],
) -> Size:
    if resolution is not None:
        return resolution, resolution
    if manifest is not None:
        return manifest.preprocessing.resolution
    sizes = Counter(check.sizes[0] for own in checks.values() for check in own if check.sizes)
    commonest = sizes.most_common(1)[0][0] if sizes else (0, 0)
    known = commonest[0] == commonest[1] and commonest[0] in card.resolutions
    return commonest if known else (card.resolution, card.resolution)


def _clips(
    split: str, checks: Sequence[ClipCheck], size: Size, record: SplitRecord | None
) -> Iterator[Finding]:
    """Each clip on its own: decodable, of the right size, unchanged."""
    prepared = {clip_key(clip.id): clip for clip in record.present} if record is not None else {}
    for check in checks:
        name = clip_key(check.id)
        if check.problem:
            yield Finding(split, name, "undecodable", check.problem)
            continue
        others = [other for other in check.sizes if other != size]
        if others:
            yield Finding(split, name, "size", f"frames are {_sizes(others)}, expected {_sizes([size])}")
        before = prepared.get(name)
        if before is not None and before.sha256 != check.sha256:
            told = [
                f"{what} {now} instead of {then}"
                for what, then, now in (
                    ("frames", before.frames, check.frames),
                    ("size", _sizes([before.size]), _sizes(check.sizes)),
                    ("rate", before.fps, check.fps),
                )
                if then != now
            ]
            details = f" ({', '.join(told)})" if told else ""
            yield Finding(split, name, "changed", f"its bytes are not those that were prepared{details}")


def _names(
    split: str, checks: Mapping[str, Sequence[ClipCheck]], expectation: Expectation
) -> Iterator[Finding]:
    """Clips that the list has and the root has not, and the other way round."""
    own = Counter(clip_key(check.id) for check in checks.get(split, ()))
    for name, count in own.items():
        if count > 1:
            ids = [check.id for check in checks[split] if clip_key(check.id) == name]
            yield Finding(split, name, "twice", f"it is there {count} times: {', '.join(ids)}")
    if expectation.names is None:
        return
    elsewhere = {
        clip_key(check.id): other for other, found in checks.items() if other != split for check in found
    }
    for name in sorted(expectation.names - own.keys()):
        reason = expectation.reasons.get(name) or "it is in the list and not in the root"
        if name in elsewhere:
            reason = (
                f"it lies in {elsewhere[name]}, where the field's script files a clip that both splits list"
            )
        yield Finding(split, name, "missing", reason)
    for name in sorted(own.keys() - expectation.names):
        yield Finding(split, name, "extra", "it is in the root and not in the list")


def _lengths(
    card: StandardCard, split: str, checks: Sequence[ClipCheck], expectation: Expectation
) -> Iterator[Finding]:
    """Numbers of frames: as listed, as the metadata's rate would give, within what papers state."""
    other_rate, unusual = [], []
    for check in checks:
        name = clip_key(check.id)
        if check.problem:
            continue
        if name in expectation.frames and expectation.frames[name] != check.frames:
            text = f"it has {check.frames} frames, the list says {expectation.frames[name]}"
            yield Finding(split, name, "frames", text)
        if expectation.lengths.get(name, check.frames) != check.frames:
            other_rate.append(name)
        if card.lengths is not None and not card.lengths[0] <= check.frames <= card.lengths[1]:
            unusual.append(f"{name} ({check.frames})")
    if other_rate:
        text = (
            f"{len(other_rate)} clips have another number of frames than end - start of the metadata: their streams "
            f"have another rate, or were cut off; {_some(other_rate)}"
        )
        yield Finding(split, "", "frames", text, deviation=False)
    if unusual and card.lengths is not None:
        low, high = card.lengths
        stated = f"{low}" if low == high else f"{low}..{high}"
        text = f"{len(unusual)} clips have not the {stated} frames that are stated: {_some(unusual)}"
        yield Finding(split, "", "unusual", text, deviation=False)


def _rates(
    card: StandardCard, split: str, checks: Sequence[ClipCheck], record: SplitRecord | None
) -> Iterator[Finding]:
    """Frame rates against the manifest's, else against those in use; different ones in one split are named."""
    prepared = {clip_key(clip.id): clip.fps for clip in record.present} if record is not None else {}
    rates: Counter[float] = Counter()
    for check in checks:
        name = clip_key(check.id)
        if check.problem or check.fps is None:
            continue
        rates[round(check.fps, 2)] += 1
        known = prepared.get(name) if name in prepared else None
        accepted = (known,) if known is not None else card.frame_rates if name not in prepared else ()
        if accepted and not any(abs(check.fps - rate) <= SAME_RATE * rate for rate in accepted):
            wanted = " or ".join(f"{rate:g}" for rate in accepted)
            yield Finding(
                split, name, "rate", f"it runs at {check.fps:.4g} frames per second, expected {wanted}"
            )
    if len(rates) > 1:
        told = ", ".join(f"{rate:g} ({count})" for rate, count in rates.most_common(NAMED))
        yield Finding(split, "", "rate", f"clips run at different frame rates: {told}", deviation=False)


def _counts(
    card: StandardCard, split: str, checks: Sequence[ClipCheck], expectation: Expectation
) -> Iterator[Finding]:
    """Without a list: what papers state."""
    if expectation.by_list:
        return
    names = {clip_key(check.id) for check in checks}
    expected, basis = counts_by_papers(card, split, names)
    fewer = expected is not None and expected > len(names)
    yield Finding(split, "", "count", f"{len(names)} clips, {basis}", deviation=fewer)


def _pairs(card: StandardCard, listed: PairList, checks: Sequence[ClipCheck]) -> Finding:
    """How many pairs of a list can be run; the field's scripts drop the others without a word."""
    names = {clip_key(check.id) for check in checks if not check.problem}
    wanted = {clip_key(name) for row in listed.rows for name in row}
    whole = sum(clip_key(source) in names and clip_key(driving) in names for source, driving in listed.rows)
    origin = published_pairs(card, listed.sha256)
    used = f"is {origin}" if origin else "is no list of pairs that papers are known to use"
    missing = f"; clips not there: {_some(sorted(wanted - names))}" if wanted - names else ""
    text = f"{listed.name} {used}; {whole} of {len(listed.rows)} pairs have both clips{missing}"
    return Finding("test", "", "pairs", text, deviation=whole < len(listed.rows))


def _notes(split: str, checks: Sequence[ClipCheck], ignored: Sequence[str]) -> Iterator[Finding]:
    for note, count in Counter(note for check in checks for note in check.notes).items():
        yield Finding(split, "", "unusual", f"{count} clips: {note}", deviation=False)
    for note in ignored:
        yield Finding(split, "", "unusual", note, deviation=False)


def _sizes(sizes: Sequence[Size]) -> str:
    shown = ", ".join(f"{width}x{height}" for height, width in sizes[:NAMED])
    return shown + (", ..." if len(sizes) > NAMED else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} others" if len(names) > NAMED else "")
