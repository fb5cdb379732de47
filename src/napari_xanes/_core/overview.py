"""A picture of a result: its fractions, thickness and error, and how the sample drifted.

For a first look where there is no window, and for the notebook; drawn without a screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_xanes._core.errors import InputError
from napari_xanes._core.io.atomic import whole_file
from napari_xanes._core.result import Result

COLUMNS = 3
PANEL_INCHES = 3.4
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


def save_overview(result: Result, path: str | Path) -> None:
    """Draw all fractions, thickness, error and drift of a result into one PNG.

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
    drift = result.extra.get("drift")
    count = len(panels) + (drift is not None)
    columns = min(COLUMNS, count)
    rows = ceil(count / columns)
    height, width = panels[0].data.shape
    tall = float(np.clip(height / width, 0.4, 1.6)) * PANEL_INCHES * 0.85 + 0.45
    figure = Figure(figsize=(columns * PANEL_INCHES, rows * tall + 0.45), layout="constrained", dpi=200)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for ax, panel in zip(axes, panels, strict=False):
        _draw_map(figure, ax, panel)
    _draw_scale(axes[0], result.pixel_size_um, width)
    if drift is not None:
        _draw_drift(axes[-1], result.energy, drift.shifts)
    for ax, letter in zip(axes, "abcdefghijklmnopqrstuvwxyz", strict=False):
        ax.set_title(f"({letter})", loc="left", fontsize=9, fontweight="bold")
    figure.suptitle(result.name, fontsize=11)
    with whole_file(path) as part:
        FigureCanvasAgg(figure).print_png(str(part))


def _panels(result: Result) -> list[_Panel]:
    panels = []
    for name, data in result.maps.items():
        info = result.info.get(name, {})
        if info.get("kind") == "fraction":
            title = info.get("reference") or name
            panels.append(_Panel(str(title), "fraction", _plane(data), "viridis", (0, 1)))
    for pair in (("thickness", "edge_step"), ("error", "rms")):
        name = next((name for name in pair if name in result.maps), None)
        if name is not None:
            data = _plane(result.maps[name])
            unit = result.info.get(name, {}).get("unit") or name.replace("_", " ")
            panels.append(_Panel(name.replace("_", " "), unit, data, SHOWN[name], _limits(data)))
    return panels


def _plane(data: NDArray[Any]) -> NDArray[Any]:
    return data if data.ndim == 2 else data[data.shape[0] // 2]


def _limits(data: NDArray[Any]) -> tuple[float, float]:
    """Nought, or what is below it, to what few pixels are above."""
    valid = data[np.isfinite(data)]
    if not valid.size:
        return 0.0, 1.0
    low, high = np.percentile(valid, [1, 99.5])
    low = min(float(low), 0.0)
    return low, float(high) if high > low else low + 1.0


def _draw_map(figure: Figure, ax: Axes, panel: _Panel) -> None:
    shown = ax.imshow(panel.data, cmap=_colors(panel.colors), vmin=panel.limits[0], vmax=panel.limits[1])
    shown.set_interpolation("nearest")
    ax.set_title(panel.title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    _draw_bar(figure, ax, shown, panel)


def _draw_bar(figure: Figure, ax: Axes, shown: ScalarMappable, panel: _Panel) -> None:
    valid = panel.data[np.isfinite(panel.data)]
    below, above = (
        bool(valid.size and f) for f in ((valid < panel.limits[0]).any(), (valid > panel.limits[1]).any())
    )
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(shown, ax=ax, fraction=0.05, pad=0.02, extend=extend[below, above], extendfrac=0.03)
    bar.set_label(panel.label, fontsize=8)
    bar.ax.tick_params(labelsize=7, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)


def _colors(name: str) -> Colormap:
    from matplotlib import colormaps

    colors = colormaps[name].copy()
    colors.set_bad("0.88")  # invalid pixels are grey, which no colour map here holds
    return colors


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


def _draw_drift(ax: Axes, energy: NDArray[np.float64], shifts: NDArray[np.float64]) -> None:
    for values, label, color in zip(shifts.T, ("dy", "dx"), ("#0072b2", "#d55e00"), strict=True):
        ax.plot(energy, values, ".-", color=color, label=label, linewidth=1, markersize=3)
    ax.set_title("drift", fontsize=9)
    ax.set_xlabel("photon energy (eV)", fontsize=8)
    ax.set_ylabel("displacement (px)", fontsize=8)
    ax.tick_params(labelsize=7, width=0.6, length=2.5)
    ax.legend(fontsize=7, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
