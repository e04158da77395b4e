"""Each standard data set in miniature, as a user meets it: prepare, verify, reconstruction, animation by a pair list.

Layouts, names and columns are the real ones; the videos are drawn, and no row is of a published list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from benchbed.cli.main import cli
from benchbed.datasets.standard.card import standard_cards

from .originals import COLUMNS, drawn, row, write_lossless, write_metadata

SIDE = 32


@dataclass(frozen=True)
class Miniature:
    """What a user has: originals, lists, pairs of test clips as a published list names them.

    Args:
        test: clips that the test split has in the end, and `listed`: that it should have.
        pairs: (source, driving) names.
        verified: whether `verify` is given the lists again; else it goes by the manifest.
        deviations: kinds of what `verify` finds in the test split.
    """

    lists: tuple[Path, ...]
    test: int
    listed: int
    pairs: tuple[tuple[str, str], ...]
    verified: bool = True
    deviations: tuple[str, ...] = ()


def voxceleb(folder: Path) -> Miniature:
    """Downloads by YouTube id; boxes that are not square, one that reaches outside; persons in names; one deleted."""
    for seed, video in enumerate(("aB-_3xyz012", "QqQ0123456z", "WwW0123456z")):
        write_lossless(folder / "raw" / f"{video}.mp4", drawn(60, seed=seed), 25)
    rows = [
        row("aB-_3xyz012", 3, 20, "10-4-40-44", person_id="id10270"),
        row("aB-_3xyz012", 30, 50, "30-10-70-50", person_id="id10270"),
        row("QqQ0123456z", 0, 12, "4-4-36-40", person_id="id10271"),
        row("deleted0000", 0, 12, "4-4-36-40", person_id="id10271"),
        row("WwW0123456z", 0, 12, "4-4-36-40", person_id="id10001", partition="train"),
    ]
    table = write_metadata(folder / "vox-metadata.csv", rows, (*COLUMNS, "person_id"))
    names = ("id10270#aB-_3xyz012#000003#000020.mp4", "id10271#QqQ0123456z#000000#000012.mp4")
    return Miniature((table,), 3, 4, (names, names[::-1]), deviations=("missing: 1",))


def taichi(folder: Path) -> Miniature:
    """Frame numbers at 59.94 in a stream of 29.97 at half the size; the name that yt-dlp gives by default."""
    write_lossless(folder / "raw" / "u0aBcDeFgH1.mp4", drawn(60), Fraction(30000, 1001))
    write_lossless(folder / "raw" / "Tai chi [u1aBcDeFgH1].mp4", drawn(60, seed=5), Fraction(30000, 1001))
    rows = [
        row("u0aBcDeFgH1", 20, 60, "20-20-80-80", fps=59.94, width=128, height=96),
        row("u1aBcDeFgH1", 8, 20, "4-4-40-40", fps=29.97),
    ]
    names = ("u0aBcDeFgH1#000020#000060.mp4", "u1aBcDeFgH1#000008#000020.mp4")
    return Miniature((write_metadata(folder / "taichi-metadata.csv", rows),), 2, 2, (names, names[::-1]))


def ted(folder: Path) -> Miniature:
    """Ranges in names, all rows train; which clips are test says a list with a line per frame."""
    rows = []
    for seed in range(3):
        write_lossless(folder / "raw" / f"t{seed}aBcDeFgH1.mp4", drawn(40, 64, 64, seed=seed), 24)
        rows.append(
            row(
                f"t{seed}aBcDeFgH1#000010#000022",
                0,
                0,
                "10-0-74-64",
                fps=10.0,
                width=96,
                height=96,
                partition="train",
            )
        )
    names = [f"t{seed}aBcDeFgH1#000010#000022.mp4" for seed in range(2)]
    listed = folder / "test_list_ted384.txt"
    listed.write_text("".join(f"{name}/{index:05d}.png\n" for name in names for index in range(12)))
    table = write_metadata(folder / "ted-metadata.csv", rows)
    return Miniature((table, listed), 2, 2, ((names[0], names[1]), (names[1], names[0])))


def fashion(folder: Path) -> Miniature:
    """Videos of several sizes in train and test; a list with a line per frame."""
    for index, size in enumerate(((60, 40), (80, 52), (60, 40))):
        split = "train" if index == 2 else "test"
        write_lossless(folder / "raw" / split / f"91-300{index}CN5S.mp4", drawn(6, *size, seed=index), 30)
    listed = folder / "test_list_fashion.txt"
    listed.write_text("".join(f"91-300{v}CN5S.mp4/{index:07d}.png\n" for v in range(2) for index in range(6)))
    return Miniature((listed,), 2, 2, (("91-3000CN5S.mp4", "91-3001CN5S.mp4"),))


def mgif(folder: Path) -> Miniature:
    """Gifs with transparency, one of two frames."""
    (folder / "raw").mkdir()
    for number, count in ((0, 2), (1, 5), (100, 4)):
        pictures = []
        for index in range(count):
            picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
            picture.paste((200, 10 * number % 255, 30, 255), (2 * index, 5, 2 * index + 12, 30))
            pictures.append(picture)
        pictures[0].save(
            folder / "raw" / f"{number:05d}.gif",
            save_all=True,
            append_images=pictures[1:],
            disposal=2,
            duration=100,
        )
    listed = folder / "test_list_mgif.txt"
    listed.write_text(
        "".join(f"{n:05d}.gif/{i:05d}.png\n" for n, count in ((0, 2), (1, 5)) for i in range(count))
    )
    return Miniature((listed,), 2, 2, (("00000.gif", "00001.gif"), ("00001.gif", "00000.gif")))


def uva_nemo(folder: Path) -> Miniature:
    """Face crops at 50 fps, PERSON_KIND_smile_N; the test persons in a list."""
    for index, name in enumerate(
        ("001_deliberate_smile_2", "001_spontaneous_smile_1", "002_deliberate_smile_1")
    ):
        write_lossless(folder / "raw" / f"{name}.mp4", drawn(8, 60, 50, seed=index), 50)
    write_lossless(folder / "raw" / "003_deliberate_smile_3.mp4", drawn(8, 60, 50, seed=9), 50)
    (folder / "persons.txt").write_text("001\n002\n")
    names = ("001_deliberate_smile_2.mp4", "002_deliberate_smile_1.mp4")
    return Miniature((folder / "persons.txt",), 3, 3, (names, names[::-1]), verified=False)


def dfdc(folder: Path) -> Miniature:
    """Originals of the challenge, cut by a table of one's own in the field's columns."""
    rows = []
    for index, name in enumerate(("aaqaifqrwn", "aayrffkzxn")):
        write_lossless(folder / "raw" / "dfdc_train_part_0" / f"{name}.mp4", drawn(30, seed=index), 30)
        rows.append(row(name, 0, 30, "10-5-50-45", fps=30))
    names = ("aaqaifqrwn#000000#000030.mp4", "aayrffkzxn#000000#000030.mp4")
    return Miniature((write_metadata(folder / "dfdc.csv", rows),), 2, 2, (names, names[::-1]))


def aist(folder: Path) -> Miniature:
    """Crops under the database's own names, split by folder; no list, so that the count of a paper is what is expected."""
    names = ("gBR_sBM_c01_d04_mBR0_ch01.mp4", "gPO_sBM_c01_d10_mPO0_ch02.mp4")
    for index, name in enumerate(names):
        write_lossless(folder / "raw" / "test" / name, drawn(8, 50, 50, seed=index), 60)
    return Miniature((), 2, 493, (names, names[::-1]), deviations=("number of clips: 1",))


def bair(folder: Path) -> Miniature:
    """Folders of frames called NAME.mp4, 30 frames each, already in size."""
    for index in range(2):
        clip = folder / "raw" / "test" / f"{index:06d}.mp4"
        clip.mkdir(parents=True)
        for number, frame in enumerate(drawn(30, SIDE, SIDE, seed=index)):
            Image.fromarray(frame).save(clip / f"{number:07d}.png")
    (folder / "names.txt").write_text("000000\n000001\n")
    pairs = (("000000.mp4", "000001.mp4"), ("000001.mp4", "000000.mp4"))
    return Miniature((folder / "names.txt",), 2, 2, pairs)


def german_public_tv(folder: Path) -> Miniature:
    """A folder of clips."""
    for index in range(2):
        write_lossless(folder / "raw" / f"speaker{index}.mp4", drawn(8, 50, 50, seed=index), 25)
    return Miniature((), 2, 2, (("speaker0.mp4", "speaker1.mp4"),))


def ffhq(folder: Path) -> Miniature:
    """Images in folders of a thousand."""
    (folder / "raw" / "00000").mkdir(parents=True)
    for index in range(2):
        Image.fromarray(drawn(1, 100, 100, seed=index)[0]).save(folder / "raw" / "00000" / f"{index:05d}.png")
    return Miniature((), 2, 2, (("00000.png", "00001.png"),))


BUILDERS: dict[str, Callable[[Path], Miniature]] = {
    "voxceleb": voxceleb,
    "taichi": taichi,
    "ted": ted,
    "fashion": fashion,
    "mgif": mgif,
    "uva-nemo": uva_nemo,
    "dfdc": dfdc,
    "aist": aist,
    "bair": bair,
    "german-public-tv": german_public_tv,
    "ffhq": ffhq,
}


def benchbed(*words: object) -> Result:
    return CliRunner().invoke(
        cli, [str(word) for word in words], standalone_mode=False, catch_exceptions=False
    )


def test_every_standard_data_set_has_its_miniature() -> None:
    assert sorted(BUILDERS) == sorted(card.name for card in standard_cards())


@pytest.mark.parametrize("name", BUILDERS)
def test_a_user_gets_from_originals_to_tables(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = BUILDERS[name](tmp_path)
    lists = [word for path in made.lists for word in ("--list", path)]
    root = tmp_path / "root"

    result = benchbed(
        "data", "prepare", name, "--from", "raw", "--to", root, *lists, "--resolution", SIDE, "--workers", 1
    )
    assert result.return_value in (0, None), result.output
    assert f"{made.test} of {made.listed} test clips" in result.output

    result = benchbed("data", "verify", root, *(lists if made.verified else ()), "--workers", 1, "--quiet")
    found = [line[6:] for line in result.output.splitlines() if line.startswith("test, ")]
    assert found == list(made.deviations), result.output
    assert f"test: n = {made.test} of " in result.output

    lines = [f"{index}.5,{source},{driving},0" for index, (source, driving) in enumerate(made.pairs)]
    Path("pairs.csv").write_text("\n".join(["distance,source,driving,frame", *lines]) + "\n")
    partial = f"n = {made.test} of {made.listed}"
    for protocol, count, extra in (
        ("reconstruction", made.test, ("--metric", "l1")),
        (
            "animation",
            len(made.pairs),
            (
                "--pairs",
                "pairs.csv",
                "--metric",
                "fid/source-frames",
                "--evaluator",
                "fid=puppet-features-pooled",
            ),
        ),
    ):
        result = benchbed(
            "run", "--protocol", protocol, "--method", "static", "--dataset", root, *extra, "--no-mlflow", "--quiet",
            "--out", protocol, "--save-samples", 0, "--device", "cpu",
        )  # fmt: skip
        (cases,) = Path(protocol).glob("*/cases.parquet")
        frame = pd.read_parquet(cases)
        assert result.return_value in (0, None), result.output
        assert frame["case"].nunique() == count and frame["status"].eq("ok").all()
        assert (partial in result.output) == (made.test < made.listed)
