"""Picture for docs/methods/admm.md: how ADMM converges, and what it takes where references are alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from napari_xanes._core.solve.active_sets import ExactSolver
from napari_xanes._core.solve.admm import AdmmSolver

ENERGY = np.linspace(8300, 8400, 101)


def triangle(apart: float) -> np.ndarray:
    """Return R of three references whose edges are `apart` eV from one another."""
    columns = [0.5 + np.arctan((ENERGY - 8333 - apart * k) / 1.5) / np.pi for k in range(3)]
    return np.linalg.qr(np.stack(columns, axis=1))[1]


def solve(r: np.ndarray, z: np.ndarray, **options: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    solver = AdmmSolver(r, "nonnegative", **options)
    out = {name: np.empty(z.shape[1]) for name in solver.maps}
    return solver(z, out), out


def main() -> None:
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(7.2, 2.8), dpi=110, layout="constrained")
    course, cost = figure.subplots(1, 2)
    for apart, color in ((4.0, "#0072B2"), (2.0, "#E69F00"), (1.0, "#D55E00")):
        r = triangle(apart)
        z = r @ rng.uniform(-0.4, 1, (3, 500)) + 0.02 * rng.standard_normal((3, 500))
        exact = ExactSolver(r, "nonnegative", np.float64)(z)
        steps = np.unique(np.geomspace(5, 3000, 30).astype(int))
        gaps = [np.abs(solve(r, z, most_iterations=n, tolerance=1e-14)[0] - exact).max() for n in steps]
        course.loglog(steps, gaps, color=color, label=f"condition number {np.linalg.cond(r):.0f}")
    course.axhline(1e-6, color="0.8", zorder=0)
    course.set(title="largest distance to the exact solution", xlabel="iterations", ylim=(1e-9, 2))
    course.legend(fontsize=7, loc="lower left")
    conditions, typical, most = [], [], []
    for apart in np.geomspace(0.6, 8, 14):
        r = triangle(apart)
        z = r @ rng.uniform(-0.4, 1, (3, 500)) + 0.02 * rng.standard_normal((3, 500))
        out = solve(r, z)[1]
        conditions.append(np.linalg.cond(r))
        typical.append(np.median(out["iterations"]))
        most.append(out["iterations"].max())
    cost.loglog(conditions, most, "o-", color="black", markersize=3, label="slowest pixel")
    cost.loglog(conditions, typical, "s-", color="#009E73", markersize=3, label="median")
    cost.set(title="iterations until both residuals pass", xlabel="condition number")
    cost.xaxis.set_minor_formatter(NullFormatter())
    cost.legend(fontsize=7)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_admm.png")
    print(np.round(conditions), typical, most)


if __name__ == "__main__":
    main()
