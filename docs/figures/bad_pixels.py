"""Picture for docs/methods/bad_pixels.md: bad pixels in a frame, those found, and a flickering beam measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx
from napari_xanes._core.prepare.internal_i0 import InternalI0Params
from napari_xanes._core.runs.pipeline import run_steps


def main() -> None:
    rng = np.random.default_rng(0)
    stack = nx.simulate((120, 140), max_drift=0).stack
    images = nx.flat_field(stack.data[:], stack.flat, stack.dark)
    n = len(images)
    hot, dead = rng.integers(5, 115, (2, 6, 2))
    images[:, hot[:, 0], hot[:, 1]] *= 1.6
    images[:, dead[:, 0], dead[:, 1]] = 0.02
    flash = rng.integers(5, 115, (n, 2))
    images[np.arange(n), flash[:, 0], flash[:, 1]] += 1.0
    shown = n // 2
    found = nx.remove_bad_pixels(images)

    figure = Figure(figsize=(9.2, 3.0), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    for panel, title in ((left, "transmission"), (middle, "found")):
        panel.imshow(images[shown], cmap="gray", vmin=0, vmax=1.3)
        panel.set(title=title, xticks=[], yticks=[])
    single = np.isnan(found.images[shown]) & ~found.hot & ~found.dead
    for mask, color, name in (
        (found.hot, "#D55E00", "hot"),
        (found.dead, "#56B4E9", "dead"),
        (single, "#F0E442", "flash"),
    ):
        y, x = np.nonzero(mask)
        middle.scatter(x, y, 60, facecolors="none", edgecolors=color, linewidths=1.4, label=name)
    middle.legend(fontsize=7, loc="lower left", framealpha=0.9)

    beam = 1 + 0.1 * np.sin(np.arange(n) / 3) + rng.normal(0, 0.01, n)
    beam[shown] = 0.7
    clean = nx.remove_bad_pixels(images, replace=True).images
    flicker = stack.replace(
        data=(clean * beam[:, None, None]).astype(np.float32), signal="transmission", flat=None, dark=None
    )
    result = run_steps(flicker, [("internal_i0", InternalI0Params())], keep_stack=True)
    level = np.array(result.history[-1]["found"]["level"])
    right.plot(stack.energy, beam / beam.mean(), color="black", lw=1.2, label="beam put in")
    right.plot(stack.energy, level / level.mean(), "o", ms=3, color="#E69F00", label="measured")
    for energy in result.history[-1]["found"]["suspect_energies"]:
        right.axvline(energy, color="#56B4E9", lw=1, ls="--", label="named as suspect")
    right.set(title="brightness", xlabel="energy (eV)", ylabel="relative to the mean")
    right.legend(fontsize=7, loc="lower right")
    figure.savefig(Path(__file__).parents[1] / "images" / "method_bad_pixels.png")


if __name__ == "__main__":
    main()
