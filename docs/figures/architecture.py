"""The rooms of the source and who imports whom, drawn from the imports themselves."""

from __future__ import annotations

import ast
import textwrap
import tomllib
from pathlib import Path

import grimp
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "napari_xanes"
TITLES = {"_widgets": "the window (_widgets)", "_core": "arrays and files (_core)"}
COLORS = {"_widgets": "#0072b2", "_core": "#c77700"}
LEFT = {"_widgets": 0.0, "_core": 10.6}
ACROSS = {"_widgets": 10.0, "_core": 12.6}
WIDTH, TALL = 1.84, 0.92
LETTERS = 25
"""Of a line in a room."""


def floors(side: str) -> list[list[str]]:
    """Return the rooms of each floor from the top, as the contracts of imports have them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        one["layers"]
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == [f"napari_xanes.{side}"]
    )
    return [[name.strip() for name in floor.split("|")] for floor in layers]


def sentence(side: str, room: str) -> str:
    """Return what is in a room, in its own words."""
    text = (SOURCE / side / room / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")


def imports() -> nx.DiGraph:
    """Return the rooms, with an edge and its number of imports from each to those it imports from."""
    modules, rooms = grimp.build_graph("napari_xanes"), nx.DiGraph()
    for module in modules.modules:
        for imported in modules.find_modules_directly_imported_by(module):
            ends = [tuple(one.split(".")[1:3]) for one in (module, imported)]
            if ends[0] != ends[1] and all(len(end) == 2 and end[0] in TITLES for end in ends):
                before = rooms.get_edge_data(*ends, {"number": 0})["number"]
                rooms.add_edge(*ends, number=before + 1)
    return rooms


def draw_side(ax: Axes, side: str, graph: nx.DiGraph) -> None:
    """Draw the rooms of a side, and of their imports those that no longer way stands for."""
    levels = floors(side)
    middle = {}
    for level, names in enumerate(levels):
        for number, name in enumerate(names):
            x = LEFT[side] + ACROSS[side] * (number + 0.5) / len(names)
            middle[side, name] = x, (len(levels) - 1 - level) * 11.2 / (len(levels) - 1)
    for start, end in nx.transitive_reduction(graph.subgraph(middle)).edges:
        (x0, y0), (x1, y1) = middle[start], middle[end]
        ax.annotate(
            "",
            (x1, y1 + TALL / 2),
            (x0, y0 - TALL / 2),
            arrowprops={"arrowstyle": "-|>", "color": COLORS[side], "alpha": 0.55, "lw": 1.1, "shrinkA": 0},
        )
    for (_, name), (x, y) in middle.items():
        words = textwrap.fill(sentence(side, name), LETTERS)
        ax.text(x, y + 0.1, words, fontsize=5.4, ha="center", va="top", color="#303030", zorder=4)
        ax.text(x, y + 0.14, name, fontsize=8, weight="bold", ha="center", va="bottom", zorder=4)
        corner = x - WIDTH / 2, y - TALL / 2
        style = {"boxstyle": "round,pad=0.06", "fc": "white", "ec": COLORS[side], "lw": 1.2, "zorder": 3}
        ax.add_patch(FancyBboxPatch(corner, WIDTH, TALL, **style))
    ax.text(LEFT[side] + ACROSS[side] / 2, 12.2, TITLES[side], ha="center", fontsize=11, weight="bold")


def main() -> None:
    """Draw the picture."""
    graph = imports()
    figure = Figure(figsize=(14, 8))
    ax = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    ax.set(xlim=(-0.1, 23.3), ylim=(-0.7, 12.8))
    ax.axis("off")
    for side in TITLES:
        draw_side(ax, side, graph)
    across = sum(n for a, b, n in graph.edges(data="number") if a[0] == "_widgets" and b[0] == "_core")
    back = sum(n for a, b, n in graph.edges(data="number") if a[0] == "_core" and b[0] == "_widgets")
    ax.annotate(
        "", (12.9, 10.1), (7.9, 10.1), arrowprops={"arrowstyle": "-|>", "lw": 2.5, "color": "#606060"}
    )
    ax.text(10.4, 10.3, f"{across} imports, {back} back", ha="center", fontsize=8, color="#404040")
    figure.savefig(ROOT / "docs" / "images" / "architecture.png", dpi=130)


if __name__ == "__main__":
    main()
