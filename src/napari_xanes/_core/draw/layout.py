"""Where the panels of a figure stand: equal images in rows, each with room for title and colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, log
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

INVALID = "0.82"
"""Grey, which neither the colour maps used nor the safe colours hold."""
LINE = 0.5
SMALL, NORMAL = 6.5, 8
"""Points: lines, and two sizes of text."""
WIDTH, ONE_COLUMN, TALLEST = 7.1, 3.4, 9.0
"""Inches: two columns and one column of a journal, and its page."""
LEFT, ABOVE, BESIDE, HEAD, FOOT = 0.08, 0.27, 0.62, 0.2, 0.24
"""Inches: before the first panel, over each for its title, after each for its colour bar, over all, under all."""
GAP = 0.2
"""Inches between what stands side by side without a colour bar."""
MOST_COLUMNS = 4
PROPORTION = 1.6
"""Width to height that a figure of many panels comes close to."""


def lay_out(n_panels: int, aspect: float, head: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure with empty panels for images whose height is `aspect` times their width."""
    columns = min(range(1, min(n_panels, MOST_COLUMNS) + 1), key=lambda c: _ugliness(n_panels, c, aspect))
    width, height = _panel_size(n_panels, columns, aspect)
    rows = ceil(n_panels / columns)
    size = (
        LEFT + columns * (width + BESIDE),
        rows * (height + ABOVE) + FOOT + (HEAD if head else 0),
    )
    figure = Figure(figsize=size)
    axes = []
    for number in range(n_panels):
        row, column = divmod(number, columns)
        left = LEFT + column * (width + BESIDE)
        bottom = FOOT + (rows - 1 - row) * (height + ABOVE)
        where = (left / size[0], bottom / size[1], width / size[0], height / size[1])
        axes.append(figure.add_axes(where))
    return figure, axes


def panel_inches(ax: Axes) -> tuple[float, float]:
    """Return width and height of a panel in inches."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = ax.get_position().size * figure.get_size_inches()
    return float(width), float(height)


def _panel_size(n_panels: int, columns: int, aspect: float) -> tuple[float, float]:
    """Return width and height of the images in inches, as large as the page allows."""
    whole = ONE_COLUMN if n_panels == 1 else WIDTH
    rows = ceil(n_panels / columns)
    width = (whole - LEFT) / columns - BESIDE
    tallest = (TALLEST - HEAD - FOOT) / rows - ABOVE
    if width * aspect > tallest:
        width = tallest / aspect
    return width, width * aspect


def _ugliness(n_panels: int, columns: int, aspect: float) -> float:
    """Return how far a figure is from its best proportion, and how much of it is empty."""
    width, height = _panel_size(n_panels, columns, aspect)
    rows = ceil(n_panels / columns)
    if width <= 0 or height <= 0:
        return inf
    proportion = columns * (width + BESIDE) / (rows * (height + ABOVE))
    small = log(_panel_size(n_panels, 1, aspect)[0] / width) / 4
    return abs(log(proportion / PROPORTION)) + (rows * columns - n_panels) / n_panels + small


def put_beside(legend: Axes, ax: Axes) -> None:
    """Let a legend that stands in the cell after a panel without colour bar begin where that bar would be."""
    here, panel = legend.get_position(), ax.get_position()
    if here.x0 > panel.x0:
        inch = panel.width / panel_inches(ax)[0]
        left = panel.x1 + GAP * inch
        legend.set_position((left, here.y0, here.x1 - left, here.height))


def text_inches(text: str, points: float) -> float:
    """Return about how long a line of text is."""
    return len(text) * points * 0.58 / 72


def cut(text: str, points: float, inches: float) -> str:
    """Return as much of a line of text as there is room for."""
    fits = max(1, int(inches / text_inches("x", points)))
    return text if len(text) <= fits else f"{text[: fits - 1]}…"


def write_titles(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Write a letter, where there are several, and a title over each panel, cut where the next one starts."""
    for number, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        room = panel_inches(ax)[0] + BESIDE - GAP
        written: dict[str, Any] = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "fontsize": NORMAL,
        }
        start = 0.0
        if len(axes) > 1:
            letter = _letter(number)
            ax.annotate(letter, (0, 1), (0, 4), fontweight="bold", **written)
            start = text_inches(letter, NORMAL) + 0.09
        ax.annotate(cut(title, NORMAL, room - start), (0, 1), (start * 72, 4), **written)


def _letter(number: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)


def write_around(figure: Figure, title: str, invalid: bool) -> None:
    """Write the title over all panels, and under them what grey means."""
    width, height = figure.get_size_inches()
    if title:
        figure.text(LEFT / width, 1 - 0.06 / height, title, fontsize=NORMAL + 1, fontweight="bold", va="top")
    if invalid:
        figure.legend(
            handles=[Patch(facecolor=INVALID, edgecolor="black", linewidth=LINE)],
            labels=["no value"],
            loc="lower left",
            bbox_to_anchor=(LEFT / width, 0.04 / height),
            frameon=False,
            fontsize=SMALL,
            borderaxespad=0,
            borderpad=0,
            handlelength=1,
            handleheight=1,
        )
