"""Spectra of a few made-up compounds with an edge and a white line, and sums of them."""

from __future__ import annotations

import numpy as np

from napari_xanes import Reference

ENERGY = np.concatenate(
    [np.arange(8300, 8325, 5), np.arange(8325, 8370, 1), np.arange(8370, 8420, 5)]
).astype(float)
CENTRES = (8333.0, 8336.5, 8340.0, 8334.5)


def spectrum(centre, energy=ENERGY):
    return (
        0.5 + np.arctan((energy - centre) / 1.5) / np.pi + 0.6 * np.exp(-(((energy - centre - 5) / 3) ** 2))
    )


def make_references(k):
    return [Reference(f"ref{i}", ENERGY, spectrum(CENTRES[i])) for i in range(k)]


def columns(k):
    return np.stack([r.mu for r in make_references(k)], axis=1)


def random_spectra(k, n=3000, noise=0.05, seed=0, negative=True):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.4 if negative else 0.1, 1, (k, n))
    return columns(k) @ x + noise * rng.normal(size=(ENERGY.size, n)), x
