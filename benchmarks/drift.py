"""Drift against pystackreg's translation: error against truth, and time, on scenes that nothing was tuned on.

    python benchmarks/drift.py [--sizes 512 1024 2048] [--scenes 2]

Each scene is a texture of three grain sizes that moves by up to 10 px, of three to five times less contrast before the
edge, with phase contrast that changes through it, 2000 counts a pixel, with and without a pattern of 2 % that stays
put on the detector.  Both measure all frames against the last one, which lies after the edge.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from pystackreg import StackReg
from scipy import ndimage

import napari_xanes as nx
from napari_xanes._core.engine import blocks

SEED = 9000
PAD = 32
TIMED = 3  # frames that pystackreg is timed on in each round


def texture(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return grains of 2, 6 and 20 px, optical density of about 0.6."""
    total = np.zeros((side, side), np.float32)
    for grain, weight in ((2, 0.25), (6, 0.5), (20, 1.0)):
        part = ndimage.gaussian_filter(rng.standard_normal((side, side), np.float32), grain)
        total += weight * part / part.std()
    return np.clip((total - total.mean()) / total.std() * 0.35 + 0.6, 0, None)


def make_scene(size: int, frames: int, seed: int, pattern: float) -> tuple[np.ndarray, np.ndarray]:
    """Return optical density (frames, size, size) and the true displacements (frames, 2)."""
    rng = np.random.default_rng(seed)
    side = size + 2 * PAD
    base = texture(rng, side)
    fringes = ndimage.gaussian_laplace(base, 2)
    shown, bright = np.fft.rfft2(base), np.fft.rfft2(fringes / fringes.std())
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    shifts = rng.uniform(-10, 10, (frames, 2))
    shifts[-1] = 0
    past_edge = np.linspace(-1, 1, frames)
    contrast = np.where(past_edge > 0, 1.0, rng.uniform(0.2, 0.33))
    dirt = ndimage.gaussian_filter(rng.standard_normal((size, size), np.float32), 1)
    dirt *= pattern / dirt.std()
    scene = np.empty((frames, size, size), np.float32)
    for i, (dy, dx) in enumerate(shifts):
        moved = (contrast[i] * shown + 0.05 * np.tanh(3 * past_edge[i]) * bright) * np.exp(
            -2j * np.pi * (fy * dy + fx * dx)
        )
        density = np.fft.irfft2(moved, s=(side, side))[PAD:-PAD, PAD:-PAD]
        counts = np.maximum(rng.poisson(2000 * np.exp(-density)), 1)
        scene[i] = dirt - np.log(counts / 2000)
    return scene, shifts


def stackreg(scene: np.ndarray, indices: range) -> np.ndarray:
    """Return displacements (n, 2) against the last frame."""
    matrices = [StackReg(StackReg.TRANSLATION).register(scene[-1], scene[i]) for i in indices]
    return np.array([[m[1, 2], m[0, 2]] for m in matrices])


def errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the length of the error of each frame, a common offset of all taken off."""
    error = found - true
    return np.hypot(*(error - error.mean(axis=0)).T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--frames", type=int, default=16)
    args = parser.parse_args()
    print(f"{args.scenes} scenes of {args.frames} frames; {blocks.default_workers()} threads against one")
    print(
        f"{'px':>5}{'pattern':>8}  {'ms a frame: ours, pystackreg, ratio':38}{'rms, px: ours, pystackreg':27}largest"
    )
    for size in args.sizes:
        for pattern in (0.0, 0.02):
            ours, theirs, seconds, base = [], [], [], []
            for number in range(args.scenes):
                scene, true = make_scene(size, args.frames, SEED + number, pattern)
                for turn in range(3):
                    start = time.perf_counter()
                    drift = nx.estimate_drift(scene)
                    seconds.append((time.perf_counter() - start) / args.frames)
                    start = time.perf_counter()
                    stackreg(scene, range(turn * TIMED, (turn + 1) * TIMED))
                    base.append((time.perf_counter() - start) / TIMED)
                ours.append(errors(drift.shifts, true))
                theirs.append(errors(stackreg(scene, range(args.frames)), true))
            a, b = median(seconds), median(base)
            rms = [np.sqrt(np.mean(np.square(e))) for e in (ours, theirs)]
            most = [np.max(e) for e in (ours, theirs)]
            times = f"{1000 * a:8.1f}{1000 * b:9.0f}{b / a:8.0f} x"
            print(
                f"{size:5}{pattern:8.2f}  {times:38}{rms[0]:8.3f}{rms[1]:10.3f}{most[0]:13.3f}{most[1]:8.3f}"
            )


if __name__ == "__main__":
    main()
