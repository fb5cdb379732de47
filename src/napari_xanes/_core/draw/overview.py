"""A picture of a result for a first look where there is no window: its maps as figures draw them, and its curves.

Curves are the references and the drift of the sample, in panels after those of the maps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.style import context
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.result import Result
from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._core.draw.drawing import draw_map, draw_scale
from napari_xanes._core.draw.figure import STYLE
from napari_xanes._core.draw.layout import LINE, SMALL, lay_out, write_around, write_titles
from napari_xanes._core.draw.panels import choose, read_panels

DPI = 200
MARGIN = 0.36
"""Share of a panel of curves that labels of the axes take on the left and below."""


def save_overview(result: Result, path: str | Path) -> None:
    """Draw fractions, thickness, error, references and drift of a result into one PNG.

    Parameters
    ----------
    result : Result
        Of images or volumes; of a volume the middle plane is drawn.
    path : path
        File ending in .png.

    Raises
    ------
    InputError
        If there is no map to draw.
    DataFileError
        If the file cannot be written.
    """
    usual = {"fraction", "thickness", "edge_step", "error", "rms"}
    if not any(info.get("kind") in usual for info in result.info.values()):
        raise InputError(f"{result.name or 'the result'} holds no fraction, thickness or error map to draw.")
    shown = choose(read_panels(result, None), None)
    curves = _curves(result)
    rows, columns = shown[0].image.shape
    with context(["default", STYLE]):
        figure, cells = lay_out(len(shown) + len(curves), rows / columns, head=bool(result.name))
        for ax, panel in zip(cells, shown, strict=False):
            draw_map(ax, panel, DPI)
        write_titles(cells, [*(panel.title for panel in shown), *curves])
        for ax, draw in zip(cells[len(shown) :], curves.values(), strict=True):
            draw(ax)
            _style_curves(ax)
        draw_scale(cells[0], result.pixel_size_um, columns)
        write_around(figure, result.name, invalid=any(np.isnan(panel.image).any() for panel in shown))
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=DPI)


def _curves(result: Result) -> dict[str, Callable[[Axes], None]]:
    """Return what draws the curves that the result has, by title."""
    curves: dict[str, Callable[[Axes], None]] = {}
    if references := result.extra.get("references"):
        curves["references"] = partial(_draw_references, energy=result.energy, references=references)
    if (drift := result.extra.get("drift")) is not None:
        curves["drift"] = partial(_draw_drift, energy=result.energy, shifts=drift.shifts)
    return curves


def _draw_references(ax: Axes, energy: NDArray[np.float64], references: list[Reference]) -> None:
    for reference in references:
        shown = (reference.energy >= energy[0]) & (reference.energy <= energy[-1])
        ax.plot(reference.energy[shown], reference.mu[shown], linewidth=1, label=reference.name)
    ax.set_ylabel("absorption", fontsize=SMALL)


def _draw_drift(ax: Axes, energy: NDArray[np.float64], shifts: NDArray[np.float64]) -> None:
    names = ("dz", "dy", "dx")[-shifts.shape[1] :]
    for values, label in zip(shifts.T, names, strict=True):
        ax.plot(energy, values, ".-", label=label, linewidth=1, markersize=3)
    ax.set_ylabel("displacement (px)", fontsize=SMALL)


def _style_curves(ax: Axes) -> None:
    """Give curves the safe colours, and make room for the labels of the axes."""
    for number, line in enumerate(ax.lines):
        line.set_color(SAFE_COLORS[number % len(SAFE_COLORS)])
    here = ax.get_position()
    ax.set_position(
        (
            here.x0 + 0.5 * MARGIN * here.width,
            here.y0 + 0.5 * MARGIN * here.height,
            here.width,
            here.height * (1 - 0.5 * MARGIN),
        )
    )
    ax.set_xlabel("photon energy (eV)", fontsize=SMALL, labelpad=1)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=SMALL, width=LINE, length=2)
    ax.legend(fontsize=SMALL, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
