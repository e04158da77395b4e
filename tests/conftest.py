"""Fixtures every test folder uses, and the meaning of `--fixtures DIR`."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PARITY = (
    "parity"  # the property that parity tests report: method, fixture, stage, output, largest error, share
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parity-table", metavar="FILE", help="Write the largest error of every parity stage as Markdown."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """`--fixtures DIR` names a folder of parity fixtures; without a folder it keeps pytest's own meaning (list fixtures).

    pytest owns the flag and cannot be given a second one of that name, so the folder is taken from the words
    of the command and travels as `config.option.parity_fixtures`, to xdist's workers too.
    """
    words = [str(word) for word in config.invocation_params.args]
    for position, word in enumerate(words):
        name, equals, folder = word.partition("=")
        if name != "--fixtures":
            continue
        if (
            not equals
            and position + 1 < len(words)
            and Path(config.invocation_params.dir, words[position + 1]).is_dir()
        ):
            folder = words[position + 1]
            config.args = [argument for argument in config.args if argument != folder]
        if folder:
            config.option.showfixtures = False
            config.option.parity_fixtures = str(Path(config.invocation_params.dir, folder).resolve())


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of facts, clips and fixtures beside the checkout."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared (clips and parity fixtures) is not beside this checkout")
    return folder


PLUGINS = REPOSITORY / "tests" / "plugin_package"


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch):
    """The plug-in distribution of the tests, installed for one test: methods that misbehave, dataset `squares`."""
    from benchbed import registry

    monkeypatch.syspath_prepend(str(PLUGINS))
    registry.registry.cache_clear()
    registry.code_fingerprint.cache_clear()
    yield
    registry.registry.cache_clear()
    registry.code_fingerprint.cache_clear()


@pytest.fixture(autouse=True)
def _own_caches(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's caches, or a tracking server the user has configured."""
    monkeypatch.setenv("BENCHBED_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The largest error of every parity stage; here and not beside the stages, where xdist's controller never looks."""
    rows = [
        value
        for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == PARITY and report.when == "call"
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (row[0], row[1]))
    terminalreporter.section("parity: largest absolute error per stage")
    width = max(len(f"{method}/{fixture} {stage}") for method, fixture, stage, *_ in rows)
    for method, fixture, stage, output, largest, share in rows:
        label = f"{method}/{fixture} {stage}".ljust(width)
        verdict = "ok" if share <= 1 else "OUT OF BOUNDS"
        terminalreporter.write_line(
            f"{label}  {largest:.2e}  {share:7.1%} of its bound  {verdict}  ({output})"
        )
    table = terminalreporter.config.getoption("--parity-table")
    if table:
        Path(table).write_text(_parity_table(rows), encoding="utf-8")


def _parity_table(rows: list[tuple]) -> str:
    lines = [
        "# Parity with the published implementations",
        "",
        "Largest absolute error of every recorded stage, and the worst element's share of what its bound allows.",
        "Written by `nox -s parity`.",
        "",
        "| method | configuration | stage | largest error | share of its bound | output |",
        "| :-- | :-- | :-- | --: | --: | :-- |",
    ]
    lines += [
        f"| {method} | {fixture} | {stage} | {largest:.1e} | {share:.1%} | {output} |"
        for method, fixture, stage, output, largest, share in rows
    ]
    return "\n".join(lines) + "\n"
