"""Peak memory of animating a long clip at full size, each method in a process of its own.

The child does what an executor does with a case: it holds the clip as bytes, encodes the source once and
takes the generated frames batch by batch. Beside the clip, nothing may grow with the number of frames.
`BENCHBED_MEMORY_FRAMES=1000` animates another number of frames; `-k lia` chooses methods.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .test_method_speed import BATCH, SIZE, every_method, write_weights

FRAMES = int(os.environ.get("BENCHBED_MEMORY_FRAMES", "60"))
LIMIT_GIB = 6
MIB = 2**20
# The engine holds a clip as bytes; frames become floats batch by batch.
CLIP_BYTES_PER_FRAME = 3 * SIZE * SIZE

CHILD = """
import json, sys
from contextlib import nullcontext
from pathlib import Path

import torch

from benchbed.frames import to_float
from benchbed.generation import Stopwatch, animate_clip
from benchbed.registry import card

name, weights, transfer = sys.argv[1:4]
count, size, batch = map(int, sys.argv[4:])
method = card("method", name).load()(checkpoint=Path(weights), configuration=None)
# Else frames would be brought to the resolution of the configuration: every method is measured at the same.
method.resolution = None
clip = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
watch = Stopwatch(torch.device("cpu"))
batches = animate_clip(
    method,
    to_float(clip[:1]),
    clip,
    transfer=transfer,
    batch_size=batch,
    precision="fp32",
    stopwatch=watch,
    memory=nullcontext(),
)
frames = sum(len(generated) for generated in batches)
# Not getrusage: its peak includes that of the process which started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({"frames": frames, "seconds": watch.seconds, "peak": int(status["VmHWM"].split()[0]) * 1024}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@every_method
def test_peak_memory_of_a_long_clip(capsys, tmp_path, card):
    words = (card.name, str(write_weights(card, tmp_path)), card.data["transfer"][0])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *words, str(FRAMES), str(SIZE), str(BATCH)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(child.stdout)
    assert found["frames"] == FRAMES
    clip = FRAMES * CLIP_BYTES_PER_FRAME
    with capsys.disabled():
        print(
            f"\n{card.name} {card.data['configurations'][0]}, {FRAMES} frames of {SIZE} px in batches of {BATCH}: "
            f"peak {found['peak'] / MIB:.0f} MiB, of it the clip {clip / MIB:.0f} MiB; {found['seconds']:.0f} s"
        )
    assert found["peak"] < LIMIT_GIB * 2**30
