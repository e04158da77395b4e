"""The `benchbed` command: which subcommands there are, and how errors end it."""

from __future__ import annotations

import importlib
import logging
import sys

import click

from benchbed import __version__
from benchbed.errors import BenchbedError

COMMANDS = {
    "run": ("benchbed.cli.run", "Run methods through protocols and print the table."),
    "animate": ("benchbed.cli.animate", "Animate one image with one video."),
    "evaluate": ("benchbed.cli.evaluate", "Score frames that another program generated."),
    "table": (
        "benchbed.cli.table",
        "Print the tables of stored runs, or a paper's with what was measured beside it.",
    ),
    "compare": ("benchbed.cli.compare", "Paired differences between two runs, or between methods of one."),
    "check": ("benchbed.cli.check", "Has any number moved since the baseline? Exit status 1 if so."),
    "explain": ("benchbed.cli.explain", "Formula, variants and source of a metric."),
    "list": ("benchbed.cli.list", "What is installed: methods, metrics, protocols, datasets, evaluators."),
    "ablate": ("benchbed.cli.ablate", "Which directions of a method's published ablations hold here?"),
    "train": ("benchbed.cli.train", "Train a method, or a puppet evaluator."),
    "data": ("benchbed.cli.data", "Standard data sets: list, prepare, verify."),
    "weights": ("benchbed.cli.weights", "The weights store: list, pull, verify, add."),
    "validate-metrics": (
        "benchbed.cli.validate_metrics",
        "Do the metrics measure what they claim, where the truth is known?",
    ),
    "doctor": ("benchbed.cli.doctor", "Check this installation."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        attribute = name.replace("-", "_")
        return getattr(module, attribute if hasattr(module, attribute) else f"{attribute}_command")

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS:
            from benchbed.registry import unknown_name

            raise click.UsageError(unknown_name("command", args[0], list(COMMANDS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="benchbed")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def cli(debug: bool) -> None:
    """The test bed for image animation: methods, protocols, metrics, comparable tables.

    \b
    benchbed run --protocol reconstruction --all-methods     the embedded default: every method on `puppets`
    benchbed list methods                                    what is here
    benchbed explain AKD                                     what a number means
    """
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("benchbed").setLevel(logging.DEBUG if debug else logging.INFO)
    if debug:
        for name in ("matplotlib", "PIL", "urllib3", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit status 0 done, 1 something failed, 2 wrong input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=arguments, prog_name="benchbed", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"benchbed: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except BenchbedError as error:
        if "--debug" in arguments:
            raise
        click.echo(f"benchbed: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("benchbed: interrupted; run the same command again to finish what is missing", err=True)
        sys.exit(130)
