"""`benchbed animate`: one image, one video, one method."""

from __future__ import annotations

from pathlib import Path

import click

from benchbed.cli.options import (
    alpha_option,
    device_option,
    parse_assignments,
    precision_option,
    transfer_option,
)


@click.command("animate")
@click.option("--method", required=True, metavar="M")
@click.option(
    "--source", required=True, type=click.Path(path_type=Path), help="The image whose appearance is kept."
)
@click.option(
    "--driving", required=True, type=click.Path(path_type=Path), help="The video whose motion is borrowed."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="mp4, gif, or png (frames side by side).",
)
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Weights to use instead of the bundled ones."
)
@click.option("--configuration", help="Network configuration, where the checkpoint does not tell.")
@click.option(
    "--resolution",
    type=int,
    help="Square size to work at. Default: the method's own, else the driving video's.",
)
@transfer_option
@alpha_option
@device_option
@precision_option
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
def animate_command(
    method, source, driving, output, checkpoint, configuration, resolution, transfer, alpha, device, precision, batch_size
) -> None:  # fmt: skip
    """Animate one image with the motion of one video."""
    from benchbed.registry import card

    card("method", method)
    from benchbed.animate import animate
    from benchbed.plan import RunRequest, pick_device, plan_method

    checkpoints = {} if checkpoint is None else {method: checkpoint}
    configurations = (
        parse_assignments((f"{method}={configuration}",), "--configuration") if configuration else {}
    )
    planned = plan_method(
        method,
        RunRequest(protocols=(), methods=(method,), checkpoints=checkpoints, configurations=configurations),
    )
    frames, notes = animate(
        planned,
        source,
        driving,
        output,
        resolution=resolution,
        transfer=transfer,
        alpha=alpha or "drop",
        device=pick_device(device),
        precision=precision,
        batch_size=batch_size,
    )
    for note in notes:
        click.echo(f"note: {note}")
    click.echo(f"{output}: {frames} frames")
