"""Picture for docs/methods/fit.md: a fit, what its sigma covers next to the bound, and what weights save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx

ENERGY = np.concatenate(
    [np.arange(8280, 8325, 3), np.arange(8325, 8365, 1), np.arange(8365, 8460, 4)]
).astype(float)
NAMES = ("reduced", "oxidised")
CENTRES = (8333.0, 8337.0)
COLORS = ("#0072B2", "#E69F00")


def spectrum(centre: float) -> np.ndarray:
    e = ENERGY - centre
    return 0.5 + np.arctan(e / 1.5) / np.pi + 0.7 * np.exp(-(((e - 4) / 3) ** 2))


REFERENCES = [nx.Reference(name, ENERGY, spectrum(c)) for name, c in zip(NAMES, CENTRES, strict=True)]
COLUMNS = np.stack([r.mu for r in REFERENCES], axis=1)


def covered(share: float, constraint: str, rng: np.random.Generator) -> tuple[float, float]:
    """Return how often the truth lies within one sigma, and the median of sigma."""
    mu = (COLUMNS @ [share, 1 - share])[:, None] + 0.05 * rng.standard_normal((ENERGY.size, 20_000))
    fit = nx.fit_references(mu, ENERGY, REFERENCES, constraint=constraint)
    distance = np.abs(fit.fractions[0] - share) / fit.sigma[0]
    return float((distance <= 1).mean()), float((distance <= 2).mean())


def counting_errors(thickness: float, rng: np.random.Generator) -> list[float]:
    """Return the rms error of a fraction without and with weights, by counting 2000 photons."""
    density = thickness * (COLUMNS @ [0.4, 0.6])
    counts = rng.poisson(2000 * np.exp(-density)[:, None], (ENERGY.size, 10_000)).astype(float)
    mu = -np.log(np.maximum(counts, 1) / 2000)
    fits = [nx.fit_references(mu, ENERGY, REFERENCES, weights=w) for w in (None, "counts")]
    return [float(np.sqrt(((fit.fractions[0] - 0.4) ** 2).mean())) for fit in fits]


def main() -> None:
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(8.2, 2.7), dpi=110, layout="constrained")
    one, cover, weights = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    mu = 0.3 + 1e-3 * (ENERGY - 8330) + COLUMNS @ [0.35, 0.65] + 0.03 * rng.standard_normal(ENERGY.size)
    fit = nx.fit_references(mu, ENERGY, REFERENCES, constraint="nonnegative", background=(0, 1))
    model = fit.model()
    one.plot(ENERGY, mu, ".", color="0.4", markersize=4, label="one pixel")
    one.plot(ENERGY, model.fitted, color="black", lw=1, label="fit")
    for name, component, color, f, s in zip(
        NAMES, model.components, COLORS, fit.fractions, fit.sigma, strict=True
    ):
        one.plot(ENERGY, component, color=color, label=f"{name} {f:.2f} ± {s:.2f}")
    one.plot(ENERGY, model.background, "--", color="0.6", label="background")
    one.set(title="a fit", xlabel="energy (eV)", xlim=(8300, 8420), ylim=(-0.05, 3.1))
    one.legend(fontsize=7, loc="upper left")
    shares = np.linspace(0, 0.15, 16)
    for constraint, color in (("none", "black"), ("nonnegative", "#D55E00")):
        found = np.array([covered(share, constraint, rng) for share in shares])
        cover.plot(shares, found[:, 0], color=color, label=constraint)
        cover.plot(shares, found[:, 1], color=color)
    for level, text in ((0.683, "1 sigma"), (0.954, "2 sigma")):
        cover.axhline(level, color="0.8", zorder=0)
        cover.text(0.15, level + 0.008, text, fontsize=7, ha="right", color="0.4")
    cover.set(title="truth within sigma", xlabel="true fraction", ylim=(0.6, 1.02))
    cover.legend(fontsize=7, loc="center right")
    thickness = np.linspace(0.25, 3, 12)
    errors = np.array([counting_errors(t, rng) for t in thickness])
    weights.plot(thickness, errors[:, 0], color="black", label="no weights")
    weights.plot(thickness, errors[:, 1], color="#009E73", label='weights = "counts"')
    weights.set(title="error of a fraction", xlabel="edge step (optical density)", ylim=(0, None))
    weights.legend(fontsize=7)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_fit.png")
    print(np.round(errors[-1] / errors[-1, 0], 2))


if __name__ == "__main__":
    main()
