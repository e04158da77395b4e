"""The repository keeps its promises: one namespace, one direction of imports, one test command."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN_MAY = {"arithmetic", "interfaces", "frames", "errors", "golden", "weights", "training"}


def _imports(path: Path, package: str) -> set[str]:
    """Absolute names of everything a file imports; relative imports resolved against its package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            names.add(".".join([*base, node.module] if node.module else base))
    return names


def _files(folder: str):
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / folder).parent.parts
        yield path, ".".join(("benchbed", *parts) if folder == "benchbed" else ("benchbed", folder, *parts))


@pytest.mark.parametrize("folder", ["methods", "metrics", "protocols", "results"])
def test_plug_ins_import_only_the_contracts_of_the_engine_and_never_each_other(folder):
    for path, package in _files(folder):
        for name in _imports(path, package):
            parts = name.split(".")
            if parts[0] != "benchbed" or len(parts) < 2:
                continue
            if parts[1] == folder:
                own = package.split(".")[2:3]
                if folder == "methods" and parts[2:3] not in (own, ["blocks"], ["training"], []):
                    raise AssertionError(f"{path.name} of {package} imports another method: {name}")
                continue
            assert parts[1] in PLUGIN_MAY, f"{path.relative_to(ROOT)} imports {name}"


def test_the_engine_never_imports_a_bundled_plug_in():
    for path, package in _files("benchbed"):
        for name in _imports(path, package):
            assert name.split(".")[:2] not in (["benchbed", "methods"], ["benchbed", "metrics"], ["benchbed", "protocols"]), (
                f"{path.relative_to(ROOT)} imports {name}"
            )  # fmt: skip


def test_every_package_is_listed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for folder in ("benchbed", "methods", "metrics", "protocols", "results"):
        for path in (ROOT / folder).rglob("__init__.py"):
            parts = path.relative_to(ROOT).parent.parts
            found.add(".".join(parts if folder == "benchbed" else ("benchbed", *parts)))
    assert found == listed


def test_a_wheel_holds_one_top_level_package_with_cards_and_weights(tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"benchbed"}
    assert "benchbed/methods/fomm/card.toml" in names
    assert "benchbed/methods/fomm/weights/puppets.safetensors" in names
    assert "benchbed/metrics/akd.toml" in names
    assert "benchbed/metrics/evaluators/weights/puppet-keypoints.safetensors" in names
    assert "benchbed/weights.toml" in names


def test_ci_runs_the_test_command_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    command = next(line for line in readme.splitlines() if line.endswith("nox -s tests"))
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_no_committed_file_names_a_package_index():
    for name in ("constraints.txt", "pyproject.toml", "noxfile.py", "README.md"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text and "simple/" not in text and ".whl" not in text
