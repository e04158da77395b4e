"""Every check of the project. Sessions run in the environment nox itself runs in: torch is installed once, not per session."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

CODE = ["benchbed", "methods", "metrics", "protocols", "results", "tests", "noxfile.py"]


def python(session: nox.Session, *words: str, **environment: str) -> None:
    session.run(sys.executable, *words, env={**os.environ, **environment}, external=True)


def face_alignment(session: nox.Session) -> None:
    """Install the library our landmarks are compared with, once.

    It declares opencv-python, which would overwrite the headless OpenCV and needs a display's libraries.
    """
    if importlib.util.find_spec("face_alignment") is None:
        python(session, "-m", "pip", "install", "-q", "--no-deps", "face-alignment==1.5.0")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; ends with the largest absolute error of every parity stage."""
    face_alignment(session)
    # Two processes of one thread are faster than one process of two: most tensors are tiny.
    python(session, "-m", "pytest", "-n", "2", *session.posargs, OMP_NUM_THREADS="1")


@nox.session
def parity(session: nox.Session) -> None:
    """Every recorded stage of every method, and methods/PARITY.md written from it."""
    words = ("tests/parity", "--parity-table", "methods/PARITY.md", *session.posargs)
    python(session, "-m", "pytest", "-n", "2", *words, OMP_NUM_THREADS="1")


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and formatting."""
    python(session, "-m", "ruff", "check", *CODE)
    python(session, "-m", "ruff", "format", "--check", *CODE)


@nox.session
def types(session: nox.Session) -> None:
    """mypy on the package as it installs, so that the mapped folders are seen as users see them."""
    target = session.create_tmp()
    for leftover in (target, "build"):  # what was deleted here must not be found there
        shutil.rmtree(leftover, ignore_errors=True)
    install = (
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--upgrade",
        "--target",
        target,
    )
    python(session, *install, ".")
    config = os.path.abspath("pyproject.toml")
    session.chdir(target)
    python(session, "-m", "mypy", "--config-file", config, "-p", "benchbed", MYPYPATH=target)


@nox.session
def bench(session: nox.Session) -> None:
    """Timings: animate of every method, rendering, evaluators, metrics. Nothing here passes or fails."""
    face_alignment(session)
    python(
        session,
        "-m",
        "pytest",
        "tests/bench",
        "-o",
        "addopts=--import-mode=importlib",
        *session.posargs,
    )


@nox.session
def drift(session: nox.Session) -> None:
    """Runs the main job again and compares it with the committed baseline: exit status 1 and a table of what moved.

    After a wanted change: `nox -s drift -- --update --reason "why the numbers may move"`.
    """
    words = session.posargs or ["--quiet"]
    python(session, "-m", "benchbed", "check", "--device", "cpu", *words)
