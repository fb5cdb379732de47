"""The rooms of the source and who imports whom, drawn from the imports themselves."""

from __future__ import annotations

from pathlib import Path

import grimp
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FLOORS = {
    "_widgets": (
        ("window",),
        ("history", "review", "scatter", "view", "spectrum"),
        ("steps",),
        ("jobs", "forms"),
        ("layers",),
        ("parts",),
    ),
    "_core": (
        ("runs",),
        ("recipe",),
        ("rank",),
        ("fit",),
        ("groups",),
        ("prepare", "align", "edge", "maps", "regions", "solve"),
        ("engine", "io", "draw", "simulate"),
        ("data",),
        ("base",),
    ),
}
TITLES = {"_widgets": "_widgets: the window", "_core": "_core: arrays and files"}
COLORS = {"_widgets": "#56b4e9", "_core": "#e69f00"}
LEFT = {"_widgets": 0.0, "_core": 9.2}
WIDTH, HEIGHT, WIDE = 1.25, 0.42, 8.2


def rooms() -> dict[str, tuple[float, float]]:
    """Return the middle of every room."""
    places = {}
    for side, floors in FLOORS.items():
        for level, names in enumerate(reversed(floors)):
            step = WIDE / len(names)
            for number, name in enumerate(names):
                places[f"napari_xanes.{side}.{name}"] = (
                    LEFT[side] + (number + 0.5) * step,
                    level * 9 / len(floors),
                )
    return places


def imports(places: dict[str, tuple[float, float]]) -> dict[tuple[str, str], int]:
    """Return how many imports go from one room to another."""
    graph = grimp.build_graph("napari_xanes")
    count: dict[tuple[str, str], int] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = tuple(
                next((r for r in places if (one + ".").startswith(r + ".")), None)
                for one in (module, imported)
            )
            if None not in pair and pair[0] != pair[1]:
                count[pair] = count.get(pair, 0) + 1  # type: ignore[index]
    return count


def main() -> None:
    """Draw the picture."""
    places = rooms()
    figure = Figure(figsize=(11, 6.2))
    ax = figure.add_axes((0.01, 0.01, 0.98, 0.95))
    ax.set(xlim=(-0.3, 17.8), ylim=(-0.6, 9.6))
    ax.axis("off")
    for side, title in TITLES.items():
        ax.text(LEFT[side] + WIDE / 2, 9.3, title, ha="center", fontsize=11, weight="bold")
    for (start, end), number in imports(places).items():
        (x0, y0), (x1, y1) = places[start], places[end]
        ax.add_patch(
            FancyArrowPatch(
                (x0, y0 - HEIGHT / 2),
                (x1, y1 + HEIGHT / 2),
                arrowstyle="-|>",
                mutation_scale=6,
                color=COLORS["_widgets" if "_widgets" in start else "_core"],
                alpha=0.25 + min(number, 25) / 50,
                linewidth=0.4 + min(number, 40) / 20,
                connectionstyle="arc3,rad=0.04",
            )
        )
    for name, (x, y) in places.items():
        side = name.split(".")[1]
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        ax.add_patch(
            FancyBboxPatch(
                corner, WIDTH, HEIGHT, boxstyle="round,pad=0.03", fc="white", ec=COLORS[side], zorder=3
            )
        )
        ax.text(x, y, name.rsplit(".")[-1], ha="center", va="center", fontsize=8.5, zorder=4)
    target = Path(__file__).parents[1] / "images" / "architecture.png"
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main()
