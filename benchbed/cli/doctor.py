"""`benchbed doctor`: does this installation work, and what is missing."""

from __future__ import annotations

import click

from benchbed import __version__


@click.command("doctor")
def doctor_command() -> int:
    """Check libraries, devices, cards, bundled weights, caches; exit status 1 where something is broken."""
    from benchbed.diagnosis import diagnose

    findings = diagnose()
    click.echo(f"benchbed {__version__}")
    for finding in findings:
        click.echo(f"{'ok' if finding.ok else 'PROBLEM':<8} {finding.subject}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1
