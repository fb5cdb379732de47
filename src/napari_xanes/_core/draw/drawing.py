"""Panels of a figure, drawn: maps with colour bars, the scale bar, maps mixed in colour with their legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, StrMethodFormatter

from napari_xanes._core.draw.color import SAFE_COLORS, mix_colors
from napari_xanes._core.draw.layout import INVALID, LINE, SMALL, cut, panel_inches, text_inches
from napari_xanes._core.draw.legends import color_bar, color_triangle
from napari_xanes._core.draw.panels import Mixture, Panel

PAPER = "white"
BAR_WIDTH, BAR_GAP = 0.09, 0.05
"""Of colour bars, in inches."""
LINE_INCHES, THICK = 0.12, 0.13
"""Height of a line of text, and of the bar of a legend, in inches."""
SLOPE = 3**0.5 / 2
"""Height of a triangle of equal sides to their length."""
UNITS_UM = (("mm", 1e3), ("µm", 1.0), ("nm", 1e-3))


def draw_map(ax: Axes, panel: Panel, dpi: int | None) -> None:
    """Draw a map and its colour bar; invalid pixels are grey."""
    logarithmic = panel.scale == "decades"
    colors = colormaps[panel.colors].with_extremes(bad=INVALID)
    # zero has no logarithm but is no invalid pixel
    data = np.maximum(panel.image, panel.limits[0]) if logarithmic else panel.image
    shown = ax.imshow(data, cmap=colors, norm=(LogNorm if logarithmic else Normalize)(*panel.limits))
    _finish_image(ax, shown, dpi)
    _draw_bar(ax, shown, panel)


def draw_mixture(ax: Axes, mixture: Mixture, dpi: int | None) -> None:
    """Draw maps mixed in the safe colours, faded to paper by their sigma; where any is invalid it is grey."""
    picture = mix_colors(
        [panel.image for panel in mixture.panels],
        SAFE_COLORS[: len(mixture.panels)],
        limits=[panel.limits for panel in mixture.panels],
        sigma=mixture.sigma,
        sigma_limit=mixture.sigma_limit,
        background=PAPER,
    )
    picture[np.isnan([panel.image for panel in mixture.panels]).any(axis=0)] = float(INVALID)
    _finish_image(ax, ax.imshow(picture), dpi)


def _finish_image(ax: Axes, shown: AxesImage, dpi: int | None) -> None:
    """Average pixels that are smaller than those of the file, if it has a resolution; never blur larger ones."""
    smaller = dpi is not None and panel_inches(ax)[0] * dpi < shown.get_shape()[1]
    shown.set_interpolation("antialiased" if smaller else "none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_linewidth(LINE)


def _draw_bar(ax: Axes, shown: AxesImage, panel: Panel) -> None:
    width, height = panel_inches(ax)
    beside = ax.inset_axes((1 + BAR_GAP / width, 0, BAR_WIDTH / width, 1))
    bar = beside.figure.colorbar(shown, cax=beside, extend=_beyond(panel), extendfrac=0.04)
    if panel.scale == "decades":
        _mark_decades(bar, panel.limits)
    else:
        bar.locator = MaxNLocator(max(2, min(6, int(height / 0.25))), steps=[1, 2, 2.5, 5, 10])
        bar.update_ticks()
    label = panel.label
    if text_inches(label, SMALL) > height:
        label = label.replace(" (", "\n(")
    bar.set_label(label, fontsize=SMALL, labelpad=2, linespacing=1)
    bar.ax.tick_params(labelsize=SMALL, width=LINE, length=2, pad=1.5)
    bar.ax.yaxis.get_offset_text().set_fontsize(SMALL)
    bar.outline.set_linewidth(LINE)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # no hairlines between its colours in SVG and PDF


def _mark_decades(bar: Colorbar, limits: tuple[float, float]) -> None:
    """Put numbers at powers of ten, and at three times these where they are few."""
    few = limits[1] / limits[0] < 1000
    bar.locator = LogLocator(subs=(1.0, 3.0) if few else (1.0,))
    bar.formatter = StrMethodFormatter("{x:g}") if few else LogFormatterMathtext()
    bar.update_ticks()
    bar.minorticks_off()


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
    _, height = panel_inches(ax)
    width = length_um / pixel / n_columns
    text = f"{length_um / factor:g} {unit}"
    longer = text_inches(text, SMALL) > width * panel_inches(ax)[0]
    bar = ax.inset_axes((0.05, 0.08 / height, width, 0.035 / height))
    bar.set(facecolor="black", xticks=[], yticks=[])
    bar.spines[:].set(edgecolor="white", linewidth=LINE)
    bar.annotate(
        text,
        (0 if longer else 0.5, 1),
        xytext=(0, 1.5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if longer else "center",
        va="bottom",
        fontsize=SMALL,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def draw_legend(ax: Axes, mixture: Mixture) -> None:
    """Say what the colours of the mixture mean: a bar for two fractions, a triangle for three, else swatches."""
    ax.axis("off")
    panels = mixture.panels
    fractions = all(panel.scale == "share" for panel in panels)
    draw = {2: _legend_bar, 3: _legend_triangle}.get(len(panels), _legend_swatches)
    bottom = (draw if fractions else _legend_swatches)(ax, panels)
    if mixture.sigma:
        note = f"white from σ = {mixture.sigma_limit:g} on"
        _write(ax, note, 0, bottom)


def _legend_bar(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a bar with what is pure above its ends; return where there is room below it."""
    width, height = panel_inches(ax)
    names = [cut(panel.title, SMALL, width) for panel in panels]
    long = min(1.7, width)
    lines = 2 if sum(text_inches(name, SMALL) for name in names) > long - 0.1 else 1
    top = height - LINE_INCHES * (lines + 0.2)
    bar = ax.inset_axes((0, (top - THICK) / height, long / width, THICK / height))
    bar.imshow(color_bar(SAFE_COLORS[:2], length=256), aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[0, 0.5, 1], yticks=[])
    bar.set_xticklabels(["1 : 0", "1 : 1", "0 : 1"], fontsize=SMALL)
    bar.tick_params(length=2, width=LINE, pad=1.5)
    first, _, last = bar.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    bar.spines[:].set_linewidth(LINE)
    _write(ax, names[0], 0, top + LINE_INCHES * (lines - 0.8), va="bottom")
    end = max(long, text_inches(names[1], SMALL))
    _write(ax, names[1], end, top + LINE_INCHES * 0.2, ha="right", va="bottom")
    return top - THICK - 1.6 * LINE_INCHES


def _legend_triangle(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a triangle with what is pure at its corners; return where there is room below it."""
    width, height = panel_inches(ax)
    first, second, third = (cut(panel.title, SMALL, width) for panel in panels)
    texts = text_inches(first, SMALL) + text_inches(second, SMALL) + 0.2
    long = min(1.25, (height - 3 * LINE_INCHES) / SLOPE)
    beside = long + texts < width
    if beside:
        left = text_inches(first, SMALL) + 0.1
    else:
        long = min(long, width - 0.2, (height - 5 * LINE_INCHES) / SLOPE)
        left = (min(width, 2.4) - long) / 2
    high = SLOPE * long
    base = height - 1.2 * LINE_INCHES - high
    triangle = ax.inset_axes((left / width, base / height, long / width, high / height))
    picture = color_triangle(SAFE_COLORS[:3], size=512)
    opaque = np.isfinite(picture).all(axis=-1, keepdims=True)
    triangle.imshow(np.concatenate([np.nan_to_num(picture), opaque], axis=-1), aspect="auto")
    triangle.axis("off")
    _write(ax, third, left + long / 2, base + high + 0.03, ha="center", va="bottom")
    if beside:
        _write(ax, first, left - 0.05, base, ha="right", va="bottom")
        _write(ax, second, left + long + 0.05, base, va="bottom")
        return base - LINE_INCHES
    return _write_below(ax, (first, second), (left, left + long), base - 0.03) - 0.05


def _write_below(ax: Axes, texts: tuple[str, str], centers: tuple[float, float], top: float) -> float:
    """Write two texts at their places, the second a line lower if they touch; return where they end."""
    width, _ = panel_inches(ax)
    first, second = (_within(text, x, width) for text, x in zip(texts, centers, strict=True))
    touch = first + text_inches(texts[0], SMALL) + 0.05 > second
    _write(ax, texts[0], first, top)
    _write(ax, texts[1], second, top - (LINE_INCHES if touch else 0))
    return top - LINE_INCHES * (2 if touch else 1)


def _within(text: str, center: float, width: float) -> float:
    """Return where a text starts that is centred, as far as it stays within the width."""
    long = text_inches(text, SMALL)
    return max(0.0, min(center - long / 2, width - long))


def _write(ax: Axes, text: str, x: float, y: float, ha: str = "left", va: str = "top") -> None:
    """Write at a place in inches from the lower left corner."""
    width, height = panel_inches(ax)
    ax.text(x / width, y / height, text, transform=ax.transAxes, fontsize=SMALL, ha=ha, va=va)


def _legend_swatches(ax: Axes, panels: Sequence[Panel]) -> float:
    """Draw a square of each pure colour with the value it is reached at; return where there is room below."""
    _, height = panel_inches(ax)
    labels = [
        panel.title
        if panel.scale == "share"
        else f"{panel.title}, full at {panel.limits[1]:.4g} {panel.unit}".strip()
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
    return height - (len(panels) * 0.15 + 0.1)
