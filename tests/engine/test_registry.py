"""Cards are found without importing code; names that nobody registered are answered with the nearest one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchbed.errors import BenchbedError, UnknownNameError
from benchbed.registry import card, cards, load_entry

ROOT = Path(__file__).resolve().parents[2]


def test_every_bundled_card_names_code_that_exists():
    for kind in ("method", "metric", "protocol", "dataset", "evaluator"):
        for found in cards(kind):
            entries = [v["entry"] for v in found.data.get("variant", [])] or [found.data["entry"]]
            for entry in entries:
                if entry:
                    assert callable(load_entry(entry, owner=found.name))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown method 'fom'; known: .*\(did you mean 'fomm'\?\)"):
        card("method", "fom")


def test_listing_cards_imports_neither_torch_nor_pandas_nor_mlflow():
    code = (
        "import sys; from benchbed.registry import cards; assert cards('method') and cards('metric');"
        "heavy = {'torch', 'pandas', 'mlflow', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def run_with_plugin(folder: Path, name: str, card: str, code: str) -> None:
    """Run code in a process in which a distribution with one method card is installed.

    Its package raises on import: cards are read without running anything of it.
    """
    package, info = folder / name, folder / f"{name}-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('a card was read by importing its package')\n")
    (package / "card.toml").write_text(card)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[benchbed.methods]\n{name} = {name}\n")
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"], check=True
    )


def test_a_card_of_another_distribution_is_found_through_its_entry_point(tmp_path):
    run_with_plugin(
        tmp_path,
        "myplugin",
        'kind = "method"\nname = "mine"\ntitle = "Mine"\n',
        "from benchbed.registry import card\nassert card('method', 'mine').data['title'] == 'Mine'",
    )


def test_a_name_registered_twice_is_refused(tmp_path):
    run_with_plugin(
        tmp_path,
        "twice",
        'kind = "method"\nname = "static"\n',
        "from benchbed.errors import BenchbedError\nfrom benchbed.registry import cards\n"
        "try: cards('method')\nexcept BenchbedError as error: assert 'registered twice' in str(error), error\n"
        "else: raise SystemExit('accepted')",
    )


def test_an_entry_that_names_nothing_says_whose_it_is():
    with pytest.raises(BenchbedError, match="method 'x' names no code to load"):
        load_entry("", owner="method 'x'")
