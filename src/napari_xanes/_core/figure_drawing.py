"""Panels of a figure, drawn: maps with colour bars, the scale bar, maps mixed in colour with their legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from napari_xanes._core.colors import SAFE_COLORS, mix_colors
from napari_xanes._core.figure_panels import Mixture, Panel
from napari_xanes._core.legends import color_bar, color_triangle

INVALID = "0.82"
"""Grey, which neither the colour maps used nor the safe colours hold."""
PAPER = "white"
LINE = 0.5
SMALL, NORMAL = 6.5, 8
"""Text, in points."""
BAR_WIDTH, BAR_GAP = 0.09, 0.05
"""Of colour bars, in inches."""
UNITS_UM = (("mm", 1e3), ("µm", 1.0), ("nm", 1e-3))


def draw_map(ax: Axes, panel: Panel, dpi: int | None) -> None:
    """Draw a map and its colour bar; invalid pixels are grey."""
    logarithmic = panel.look.scale == "logarithmic"
    colors = colormaps[panel.look.colors].with_extremes(bad=INVALID)
    # zero has no logarithm but is no invalid pixel
    data = np.maximum(panel.image, panel.limits[0]) if logarithmic else panel.image
    shown = ax.imshow(data, cmap=colors, norm=(LogNorm if logarithmic else Normalize)(*panel.limits))
    _finish_image(ax, shown, dpi)
    _draw_bar(ax, shown, panel)


def draw_mixture(ax: Axes, mixture: Mixture, dpi: int | None) -> None:
    """Draw maps mixed in the safe colours, faded to paper by their sigma; invalid pixels are grey."""
    picture = mix_colors(
        [panel.image for panel in mixture.panels],
        SAFE_COLORS[: len(mixture.panels)],
        limits=[panel.limits for panel in mixture.panels],
        sigma=mixture.sigma,
        sigma_limit=mixture.sigma_limit,
        background=PAPER,
    )
    picture[np.isnan(picture)] = float(INVALID)
    _finish_image(ax, ax.imshow(picture), dpi)


def _finish_image(ax: Axes, shown: AxesImage, dpi: int | None) -> None:
    """Average pixels that are smaller than those of the file, if it has a resolution; never blur larger ones."""
    smaller = dpi is not None and _inches(ax)[0] * dpi < shown.get_shape()[1]
    shown.set_interpolation("antialiased" if smaller else "none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_linewidth(LINE)


def _inches(ax: Axes) -> tuple[float, float]:
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = ax.get_position().size * figure.get_size_inches()
    return float(width), float(height)


def _draw_bar(ax: Axes, shown: AxesImage, panel: Panel) -> None:
    width, height = _inches(ax)
    beside = ax.inset_axes((1 + BAR_GAP / width, 0, BAR_WIDTH / width, 1))
    bar = beside.figure.colorbar(shown, cax=beside, extend=_beyond(panel), extendfrac=0.04)
    if panel.look.scale == "logarithmic":
        _mark_decades(bar, panel.limits)
    else:
        bar.locator = MaxNLocator(max(2, min(6, int(height / 0.25))), steps=[1, 2, 2.5, 5, 10])
        bar.update_ticks()
    bar.set_label(panel.label, fontsize=SMALL, labelpad=2)
    bar.ax.tick_params(labelsize=SMALL, width=LINE, length=2, pad=1.5)
    bar.ax.yaxis.get_offset_text().set_fontsize(SMALL)
    bar.outline.set_linewidth(LINE)  # type: ignore[operator]
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # no hairlines between its colours in SVG and PDF


def _mark_decades(bar: Any, limits: tuple[float, float]) -> None:
    """Put numbers at powers of ten, or within one decade at 1, 2 and 5 times these."""
    wide = limits[1] / limits[0] > 30
    bar.locator = LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0))
    bar.formatter = LogFormatterMathtext() if wide else "{x:g}"
    bar.update_ticks()
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _beyond(panel: Panel) -> str:
    """Return on which sides there are values beyond the limits."""
    below, above = (panel.image < panel.limits[0]).any(), (panel.image > panel.limits[1]).any()
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[int(below), int(above)]


def round_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(n * power for n in (0.5, 1, 2, 5) if n * power <= longest * (1 + 1e-9)))


def draw_scale(ax: Axes, pixel_size_um: float | None, n_columns: int) -> None:
    """Draw a bar of a round length, at most a quarter of the image wide; without a pixel size it is in pixels."""
    pixel = pixel_size_um or 1.0
    length_um = round_length(n_columns * pixel / 4)
    if pixel_size_um:
        unit, factor = next((u, f) for u, f in UNITS_UM if length_um >= f * (1 - 1e-9) or u == "nm")
    else:
        unit, factor = "px", 1.0
    _, height = _inches(ax)
    width = length_um / pixel / n_columns
    edge = [withStroke(linewidth=2, foreground="white")]
    bar = ax.inset_axes((0.05, 0.08 / height, width, 0.035 / height))
    bar.set(facecolor="black", xticks=[], yticks=[])
    bar.spines[:].set(edgecolor="white", linewidth=LINE)
    bar.annotate(
        f"{length_um / factor:g} {unit}",
        (0.5, 1),
        xytext=(0, 1.5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SMALL,
        path_effects=edge,
    )


def draw_legend(ax: Axes, mixture: Mixture) -> None:
    """Say what the colours of the mixture mean: a bar for two fractions, a triangle for three, else swatches."""
    ax.axis("off")
    panels = mixture.panels
    fractions = all(panel.look.scale == "share" for panel in panels)
    draw = {2: _legend_bar, 3: _legend_triangle}.get(len(panels), _legend_swatches)
    bottom = (draw if fractions else _legend_swatches)(ax, panels)
    if mixture.sigma:
        note = f"white from σ = {mixture.sigma_limit:g} on"
        ax.text(0, bottom, note, transform=ax.transAxes, fontsize=SMALL, va="top")


def _legend_bar(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a bar with what is pure above its ends; return where there is room below it."""
    width, height = _inches(ax)
    length, thick = min(1.0, 1.7 / width), 0.13 / height
    top = 1 - 0.55 / height
    bar = ax.inset_axes((0, top - thick, length, thick))
    picture: NDArray[np.float32] = color_bar(SAFE_COLORS[:2], length=256, width=1)
    bar.imshow(picture, aspect="auto", extent=(0, 1, 0, 1), interpolation="nearest")
    bar.set(xticks=[0, 0.5, 1], yticks=[])
    bar.set_xticklabels(["1 : 0", "1 : 1", "0 : 1"], fontsize=SMALL)
    bar.tick_params(length=2, width=LINE, pad=1.5)
    bar.spines[:].set_linewidth(LINE)
    for side, panel, x, y in (("left", panels[0], 0, 2.3), ("right", panels[1], 1, 1.15)):
        bar.text(x, y, panel.title, transform=bar.transAxes, fontsize=SMALL, ha=side, va="bottom")
    return top - thick - 0.32 / height


def _legend_triangle(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a triangle with what is pure at its corners; return where there is room below it."""
    width, height = _inches(ax)
    size = min(1.25, width - 0.4, (height - 0.75) / 0.866)
    left, base = (width - size) / 2, height - 0.2 - 0.866 * size
    triangle = ax.inset_axes((left / width, base / height, size / width, 0.866 * size / height))
    picture = color_triangle(SAFE_COLORS[:3], size=512)
    opaque = np.isfinite(picture).all(axis=-1, keepdims=True)
    triangle.imshow(np.concatenate([np.nan_to_num(picture), opaque], axis=-1), aspect="auto")
    triangle.axis("off")
    corners = ((0.0, -0.04, "right", "top"), (1.0, -0.04, "left", "top"), (0.5, 1.03, "center", "bottom"))
    for panel, (x, y, _, va) in zip(panels, corners, strict=True):
        triangle.text(x, y, panel.title, transform=triangle.transAxes, fontsize=SMALL, ha="center", va=va)
    return (base - 0.28) / height


def _legend_swatches(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a square of each pure colour with the value it is reached at; return where there is room below."""
    _, height = _inches(ax)
    labels = [
        panel.title
        if panel.look.scale == "share"
        else f"{panel.title}, {panel.limits[1]:.3g} {panel.unit}".strip()
        for panel in panels
    ]
    handles = [Patch(facecolor=color) for color in SAFE_COLORS[: len(panels)]]
    ax.legend(
        handles,
        labels,
        loc="upper left",
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0,
        borderpad=0,
        handlelength=1,
        handleheight=1,
    )
    return 1 - (len(panels) * 0.15 + 0.1) / height
