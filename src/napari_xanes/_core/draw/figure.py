"""A figure of maps for a paper: a panel for each with its colour bar, a scale bar, and maps mixed in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.style import context
from numpy.typing import ArrayLike

from napari_xanes._core.base.door import Limits, Positive, public
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.data.result import Result
from napari_xanes._core.draw.drawing import draw_legend, draw_map, draw_mixture, draw_scale
from napari_xanes._core.draw.figure_kinds import FORMATS, check_figure_path
from napari_xanes._core.draw.layout import lay_out, put_beside, write_around, write_titles
from napari_xanes._core.draw.panels import Mixture, Panel, choose, choose_mixture, read_panels

KEEP_PIXELS = (".svg", ".pdf")
"""Where images are embedded as they are and not drawn into the pixels of the file."""
STYLE: dict[str, Any] = {
    "pdf.fonttype": 42,
    "svg.hashsalt": "napari-xanes",
    "svg.fonttype": "path",
}


@public
def save_figure(
    path: str | Path,
    maps: Result | Mapping[str, ArrayLike],
    *,
    names: Sequence[str] | None = None,
    mix: Sequence[str] | None = None,
    sigma_limit: float | None = 0.3,
    plane: int | None = None,
    pixel_size_um: Positive | None = None,
    title: str | None = None,
    dpi: Annotated[int, Limits(20, 5000)] = 400,
) -> None:
    """Draw maps into a PNG, SVG or PDF file that can go into a paper as it is.

    Every map is a panel with a colour bar: fractions from 0 to 1, thickness from 0, errors logarithmic, what goes both
    ways around 0; maps of one kind for several references share their limits, beyond which are few pixels.  Invalid
    pixels are grey.  Before them stands a panel of the fractions mixed in colour by `mix_colors`, with its legend.

    Parameters
    ----------
    path : path
        File ending in .png, .svg or .pdf; a file of this name is replaced.
    maps : Result, or dict of str to array (Y, X) or (Z, Y, X)
        Of a dict the kinds are told by the names, which then are those that results have, such as "fraction_NiO".
    names : sequence of str, optional
        Names or kinds of the maps to draw, in this order.  Default: fractions, thickness or edge step, and error or
        rms; if there are none of these, all.
    mix : sequence of str, optional
        Names or kinds of the maps to mix, at most seven.  Default: the fractions that are drawn, if there are two to
        seven; empty: none.
    sigma_limit : float or None
        If there is a sigma of every mixed fraction, the mixture fades to white until sigma reaches this.
    plane : int, optional
        Index of the plane of volumes that is drawn.  Default: the middle one.
    pixel_size_um : float, optional
        For the scale bar, µm.  Default: that of the result; without one the bar is in pixels.
    title : str, optional
        Above the panels.  Default: the name of the result; empty: none.
    dpi : int
        Of PNG files, pixels per inch; images in SVG and PDF keep their own pixels.

    Raises
    ------
    InputError
        If the ending is another, there are no maps, one asked for is not there, or shapes or plane do not fit.
    DataFileError
        If the file cannot be written.
    """
    path = Path(path)
    check_figure_path(path)
    panels = read_panels(maps, plane)
    shown = choose(panels, names)
    mixture = choose_mixture(panels, shown, mix, sigma_limit)
    if isinstance(maps, Result):
        pixel_size_um = pixel_size_um or maps.pixel_size_um
        title = maps.name if title is None else title
    kind = path.suffix.lower()
    with context(["default", STYLE]):
        figure = _draw(
            shown, mixture, _printable(title or ""), pixel_size_um, None if kind in KEEP_PIXELS else dpi
        )
        with whole_file(path) as part:
            figure.savefig(part, format=kind[1:], metadata=FORMATS[kind], dpi=dpi)


def _printable(text: str) -> str:
    return "".join(one for one in text if one.isprintable())


def _draw(
    shown: Sequence[Panel],
    mixture: Mixture | None,
    title: str,
    pixel_size_um: float | None,
    dpi: int | None,
) -> Figure:
    """Return the figure: the mixture and its legend, then the maps, row by row."""
    rows, columns = shown[0].image.shape
    figure, cells = lay_out(len(shown) + (2 if mixture else 0), rows / columns, head=bool(title))
    titles = [panel.title for panel in shown]
    drawn = list(shown)
    if mixture:
        draw_mixture(cells[0], mixture, dpi)
        legend = cells.pop(1)
        put_beside(legend, cells[0])
        draw_legend(legend, mixture)
        titles.insert(0, "mixed in colour")
        drawn += mixture.panels
    for ax, panel in zip(cells[-len(shown) :], shown, strict=True):
        draw_map(ax, panel, dpi)
    write_titles(cells, titles)
    draw_scale(cells[0], pixel_size_um, columns)
    write_around(figure, title, invalid=any(np.isnan(panel.image).any() for panel in drawn))
    return figure
