"""Opening a scan takes the memory of a few frames, whatever its format: the writers are those of the benchmark."""

from __future__ import annotations

import sys
import tracemalloc
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from napari_xanes import read_stack
from napari_xanes._core.io import permuted, signal

N, SIZE = 40, 224
MOST_FRAMES = 16
"""As float32; the whole scan has 40."""


def _writers():
    path = Path(__file__).parents[3] / "benchmarks" / "format_writers.py"
    spec = spec_from_file_location("format_writers", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITERS = _writers().FORMATS


@pytest.mark.parametrize("name", WRITERS)
def test_opening_takes_the_memory_of_a_few_frames(tmp_path, monkeypatch, name):
    monkeypatch.setattr(permuted, "BLOCK_BYTES", 4 * SIZE * SIZE * 4)
    monkeypatch.setattr(signal, "MOST_VALUES", 2000)
    paths = []
    for part, n in (("small", 5), ("large", N)):
        (tmp_path / part).mkdir()
        paths.append(WRITERS[name](tmp_path / part, n, SIZE))
    read_stack(paths[0], signal="optical_density").read(1)  # what is imported at first is not counted
    peak = _frames_taken(paths[1])
    if peak >= MOST_FRAMES:  # a thread that another test began counts as well, as long as it runs
        peak = _frames_taken(paths[1])
    assert peak < MOST_FRAMES


def _frames_taken(path):
    tracemalloc.start()
    stack = read_stack(path, signal="optical_density")
    frame = stack.read(N // 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stack.shape == (N, SIZE, SIZE) and np.ptp(frame) > 0
    return peak / (SIZE * SIZE * 4)
