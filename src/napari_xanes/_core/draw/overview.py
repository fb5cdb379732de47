"""A picture of a result: its fractions, thickness and error, the references, and how the sample drifted.

For a first look where there is no window, and for the notebook; drawn without a screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.result import Result

COLUMNS = 3
PANEL_INCHES = 3.3
CURVE_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
NICE_LENGTHS = (1, 2, 5)
SHOWN = {"thickness": "cividis", "edge_step": "cividis", "error": "magma", "rms": "magma"}
"""Maps besides fractions that are shown, with their colours; only the first of each pair."""


@dataclass(frozen=True)
class _Panel:
    title: str
    label: str
    data: NDArray[Any]
    colors: str
    limits: tuple[float, float]
    logarithmic: bool = False


def save_overview(result: Result, path: str | Path) -> None:
    """Draw all fractions, thickness, error, references and drift of a result into one PNG.

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
    panels = _panels(result)
    if not panels:
        raise InputError(f"{result.name or 'the result'} holds no fraction, thickness or error map to draw.")
    curves = _curves(result)
    count = len(panels) + len(curves)
    columns = min(COLUMNS, count)
    rows = ceil(count / columns)
    height, width = panels[0].data.shape
    aspect = float(np.clip(height / width, 0.5, 1.6))
    size = (columns * PANEL_INCHES, rows * (PANEL_INCHES * 0.74 * aspect + 0.55) + 0.35)
    figure = Figure(figsize=size, layout="constrained", dpi=200)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for ax, panel in zip(axes, panels, strict=False):
        _draw_map(figure, ax, panel)
    for ax, draw in zip(axes[len(panels) :], curves, strict=True):
        draw(ax)
        _style_curves(ax, aspect)
    _draw_scale(axes[0], result.pixel_size_um, width)
    for ax, letter in zip(axes, "abcdefghijklmnopqrstuvwxyz", strict=False):
        ax.set_title(f"({letter})", loc="left", fontsize=9, fontweight="bold")
    figure.suptitle(result.name, fontsize=11)
    canvas = FigureCanvasAgg(figure)
    with whole_file(path) as part:
        canvas.print_figure(part, format="png")


def _panels(result: Result) -> list[_Panel]:
    panels = []
    for name, data in result.maps.items():
        info = result.info.get(name, {})
        if info.get("kind") == "fraction":
            title = info.get("reference") or name
            panels.append(_Panel(str(title), "fraction", _plane(data), "viridis", (0, 1)))
    answered = np.isfinite(panels[0].data) if panels else True
    for pair in (("thickness", "edge_step"), ("error", "rms")):
        for name in [name for name in pair if name in result.maps][:1]:
            data, of_fit = _plane(result.maps[name]), name in ("error", "rms")
            unit = result.info.get(name, {}).get("unit") or name.replace("_", " ")
            if of_fit:
                data = np.where(answered & (data > 0), data, np.nan)
            limits = _limits(data, from_zero=not of_fit)
            panels.append(_Panel(name.replace("_", " "), unit, data, SHOWN[name], limits, of_fit))
    return panels


def _plane(data: NDArray[Any]) -> NDArray[Any]:
    return data if data.ndim == 2 else data[data.shape[0] // 2]


def _limits(data: NDArray[Any], *, from_zero: bool) -> tuple[float, float]:
    """Return between which values nearly all pixels are, starting at nought if asked."""
    valid = data[np.isfinite(data)]
    if not valid.size:
        return 0.5, 1.0
    low, high = (float(v) for v in np.percentile(valid, [1, 99.5 if from_zero else 98]))
    low = min(low, 0.0) if from_zero else low
    return low, high if high > low else low + 1.0


def _draw_map(figure: Figure, ax: Axes, panel: _Panel) -> None:
    scale = (LogNorm if panel.logarithmic else Normalize)(*panel.limits)
    shown = ax.imshow(panel.data, cmap=_colors(panel.colors), norm=scale)
    shown.set_interpolation("nearest")
    ax.set_title(panel.title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    _draw_bar(figure, ax, shown, panel)


def _draw_bar(figure: Figure, ax: Axes, shown: ScalarMappable, panel: _Panel) -> None:
    valid = panel.data[np.isfinite(panel.data)]
    below, above = bool((valid < panel.limits[0]).any()), bool((valid > panel.limits[1]).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    beside = ax.inset_axes((1.03, 0, 0.045, 1))
    bar = figure.colorbar(shown, cax=beside, extend=extend[below, above], extendfrac=0.03)
    bar.set_label(panel.label, fontsize=8)
    bar.ax.tick_params(labelsize=7, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)


def _colors(name: str) -> Colormap:
    from matplotlib import colormaps

    return colormaps[name].with_extremes(
        bad="0.88"
    )  # invalid pixels are grey, which no colour map here holds


def _draw_scale(ax: Axes, pixel_size_um: float | None, width: int) -> None:
    """Draw a bar of a round length, about a fifth of the image wide."""
    step, unit = (pixel_size_um, "µm") if pixel_size_um else (1.0, "px")
    wanted = width * step / 5
    power = 10.0 ** np.floor(np.log10(wanted))
    length = max(n * power for n in NICE_LENGTHS if n * power <= wanted)
    bar = ax.inset_axes((0.04, 0.04, length / step / width, 0.018))
    bar.set(facecolor="black", xticks=[], yticks=[])
    bar.set_title(f"{length:g} {unit}", fontsize=7, pad=2)
    for spine in bar.spines.values():
        spine.set_edgecolor("white")
        spine.set_linewidth(0.5)


def _curves(result: Result) -> list[Callable[[Axes], None]]:
    """Return what draws the curves that the result has."""
    curves: list[Callable[[Axes], None]] = []
    if references := result.extra.get("references"):
        curves.append(partial(_draw_references, energy=result.energy, references=references))
    if (drift := result.extra.get("drift")) is not None:
        curves.append(partial(_draw_drift, energy=result.energy, shifts=drift.shifts))
    return curves


def _draw_references(ax: Axes, energy: NDArray[np.float64], references: list[Reference]) -> None:
    for reference in references:
        shown = (reference.energy >= energy[0]) & (reference.energy <= energy[-1])
        ax.plot(reference.energy[shown], reference.mu[shown], linewidth=1, label=reference.name)
    ax.set_title("references", fontsize=9)
    ax.set_ylabel("absorption", fontsize=8)


def _draw_drift(ax: Axes, energy: NDArray[np.float64], shifts: NDArray[np.float64]) -> None:
    for values, label in zip(shifts.T, ("dy", "dx"), strict=True):
        ax.plot(energy, values, ".-", label=label, linewidth=1, markersize=3)
    ax.set_title("drift", fontsize=9)
    ax.set_ylabel("displacement (px)", fontsize=8)


def _style_curves(ax: Axes, aspect: float) -> None:
    for line, color in zip(ax.lines, CURVE_COLORS * (len(ax.lines) // len(CURVE_COLORS) + 1), strict=False):
        line.set_color(color)
    ax.set_box_aspect(aspect)
    ax.set_xlabel("photon energy (eV)", fontsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=7, width=0.6, length=2.5)
    ax.legend(fontsize=7, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
