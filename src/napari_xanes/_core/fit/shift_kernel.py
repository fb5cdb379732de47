"""The energy shift of every spectrum: all shifts tried, each a linear fit for all pixels at once.

Along with the references a slope of the edge step is fitted: absorption falls after an edge, that of references may
have been taken off, and a fit would follow the difference by shifting the edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.engine.pooled import ENOUGH, PooledNoise, learned_from
from napari_xanes._core.fit.library import make_basis, shifted_references
from napari_xanes._core.fit.params import Extrapolate
from napari_xanes._core.solve.design import Design, FloatArray, Matrix
from napari_xanes._core.solve.propagation import Propagation
from napari_xanes._core.solve.still_noise import Origin

STEP = 0.1
"""eV between the shifts that are tried; the minimum is found between them."""

ENOUGH_FREE = 5
"""Energies beyond the unknowns from which on a slope of the edge step is fitted along."""

TOLD = 1.0
"""Standard errors of noise by which most spectra must misfit at both limits: with less, noise decides where the best shift is."""

RICH = 0.98
"""Quantile of how far the element stands out of noise; spectra with a third of that are asked whether they tell a shift.

Most pixels may hold nearly nothing, and tell none whatever the energies are; the largest may be single outliers.
"""


class ShiftKernel:
    """Tries all shifts on every spectrum and takes the minimum of the parabola through the best three.

    Noise is learned from the sampled spectra (E, n), `thickness` (n,) being what they were divided by and `image`
    that of all pixels, where no kernel of the same pass fills a map of it; `jacobian` says how they were
    normalised, `origin` how they came about.
    """

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {"shift": (), "sigma": (), "at_limit": ()}
    flags = ("at_limit",)

    def __init__(
        self,
        references: Sequence[Reference],
        energy: Matrix,
        fitted: NDArray[np.intp],
        limit: float,
        background: Sequence[int],
        extrapolate: Extrapolate | None,
        sample: FloatArray,
        *,
        jacobian: Jacobian | None = None,
        thickness: FloatArray | None = None,
        image: FloatArray | None = None,
        origin: Origin | None = None,
    ) -> None:
        steps = max(2, round(2 * limit / STEP))
        self._shifts = np.linspace(-limit, limit, steps + 1)
        self._fitted = fitted
        every = learned_from(sample.shape[1])
        spectra = sample[fitted][:, every].astype(np.float64)
        valid = np.isfinite(spectra).all(axis=0)
        spectra, thickness = spectra[:, valid], None if thickness is None else thickness[every][valid]
        designs = [
            make_basis(
                shifted_references(references, [s] * len(references)),
                energy[fitted],
                extrapolate,
                background,
                None,
            )
            for s in self._shifts
        ]
        mixture = _mixture(designs[len(designs) // 2], spectra)
        self._unknowns = designs[0].q.shape[1]
        tilted = fitted.size - self._unknowns - 2 >= ENOUGH_FREE and bool(mixture.any())
        x = (energy[fitted] - energy[fitted].mean()) / np.ptp(energy[fitted])
        tilts = [x * (d.references @ mixture) for d in designs] if tilted else [None] * len(designs)
        columns = [_columns(d, tilt) for d, tilt in zip(designs, tilts, strict=True)]
        self._unknowns += tilted
        self._rows = np.concatenate([np.linalg.qr(c)[0].T for c in columns])
        self._freedom = fitted.size - self._unknowns - 1
        if self._freedom < 1:
            raise InputError(
                f"{fitted.size} energies are fitted with {self._unknowns} unknowns and a shift; fit more energies."
            )
        self.reads: Mapping[str, NDArray[Any]] = {}
        self.follows: tuple[str, ...] = ()
        if thickness is not None and image is not None:
            self.reads = {"thickness": image}
        elif thickness is not None:
            self.follows = ("thickness",)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self._learn(designs, columns, mixture, spectra, thickness, jacobian, origin)

    def _learn(
        self,
        designs: Sequence[Design],
        columns: Sequence[Matrix],
        mixture: Matrix,
        spectra: Matrix,
        thickness: FloatArray | None,
        jacobian: Jacobian | None,
        origin: Origin | None,
    ) -> None:
        """Learn how noise is spread, from spectra (n, m) fitted at their usual shift with what a shift adds."""
        self._noise: Propagation | None = None
        self._pool: PooledNoise | None = None
        self._told = True
        self._solve: Matrix
        if not spectra.shape[1] or not mixture.any():
            return
        errors = self._errors(spectra)
        at = int(np.clip(np.median(errors.argmin(axis=0)), 1, len(errors) - 2))
        wide = self._shifts[at + 1] - self._shifts[at - 1]
        moved = (designs[at - 1].references - designs[at + 1].references) / wide
        free = len(spectra) - columns[at].shape[1] - moved.shape[1]
        several = free >= ENOUGH_FREE and _apart(np.column_stack([columns[at], moved]))
        self._weights = np.eye(mixture.size) if several else mixture[None] / (mixture @ mixture)
        every = np.column_stack([columns[at], moved if several else moved @ mixture])
        if not _apart(every):
            return
        first, count = designs[at].background.shape[1], 0 if not several else mixture.size - 1
        q, r = np.linalg.qr(every)
        noise = Propagation(Design(every[:, :first], every[:, first:], q, r, 0.0), self._fitted, jacobian)
        self._solve = np.linalg.solve(r, q.T)[first:]
        x, left = self._solve @ spectra, spectra - q @ (q.T @ spectra)
        level = _level(spectra, thickness)
        part = np.ones(spectra.shape[1]) if thickness is None else thickness
        total = x[: mixture.size].sum(axis=0) * part
        clear = total > np.median(total) / 3
        there = (part * (spectra - left))[:, clear]
        noise.learn(x[:, clear], (part * left)[:, clear], level[clear], lambda some: there[:, some], origin)
        if not noise.freedom:
            return
        self._noise, self._more = noise, (self._freedom - count) / self._freedom
        ends = r[-len(self._weights) :, -len(self._weights) :]
        inner = noise.covariances[:, -len(ends) :, -len(ends) :]
        self._even, self._uneven = ends.T @ ends, ends.T @ inner @ ends
        if noise.freedom < ENOUGH:
            squares, _ = self._in_even_noise(x, errors.min(axis=0), level)
            pool = PooledNoise(squares, np.full(squares.shape, noise.freedom), level)
            self._pool = pool if pool.known else None
        usual = mixture @ x[: mixture.size] / (mixture @ mixture)
        misfit = self._errors(designs[at].references @ mixture[:, None])[[0, -1]].min() * usual**2
        variance = TOLD**2 * self._variance(spectra, errors.min(axis=0), level)
        told = (misfit > variance) & (errors[[0, -1]] > errors.min(axis=0) + variance).all(axis=0)
        signal = total / np.sqrt(variance)
        holding = signal > np.nanquantile(signal, RICH) / 3
        self._told = bool(told[holding].sum() > holding.sum() / 2)

    def _in_even_noise(self, x: Matrix, least: Matrix, level: Matrix) -> tuple[Matrix, FloatArray]:
        """Return squares (n,) left in even noise, with as many degrees of freedom as the noise has, and its features."""
        assert self._noise is not None
        features = self._noise.features(x, level)
        squares: Matrix = least * (self._more * self._noise.freedom / (self._noise.left @ features))
        return squares, features

    def _errors(self, data: Matrix) -> Matrix:
        """Return the sum of squares that each shift leaves of spectra (n, m)."""
        projected = (self._rows @ data).reshape(len(self._shifts), self._unknowns, -1)
        errors: Matrix = np.einsum("ij,ij->j", data, data) - np.einsum("skj,skj->sj", projected, projected)
        return errors

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        data = y[self._fitted].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            errors = self._errors(data)
        valid = np.isfinite(errors).all(axis=0)
        best = np.argmin(np.where(valid, errors, 0), axis=0)
        end = valid & ((best == 0) | (best == len(errors) - 1))
        inner = np.clip(best, 1, len(errors) - 2)
        below, least, above = (errors[inner + k, np.arange(inner.size)] for k in (-1, 0, 1))
        step = self._shifts[1] - self._shifts[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = below - 2 * least + above
            shift = self._shifts[inner] + 0.5 * step * (below - above) / bend
            least = np.maximum(least - (below - above) ** 2 / (8 * bend), 0)
            level = _level(data, out["thickness"] if self.reads or self.follows else None)
            variance = self._variance(data, least, level)
            sigma = step * np.sqrt(2 * variance / bend)
            near_limit = (errors[[0, -1]] <= least + variance).any(axis=0)
            sigma = np.sqrt(sigma**2 + self._beyond_parabola(errors, least, shift, variance, sigma))
        known = valid & ~end & (bend > 0)
        out["shift"][...] = np.where(known, shift, np.nan)
        out["sigma"][...] = np.where(known & ~near_limit, sigma, np.nan)
        out["at_limit"][...] = end

    def _beyond_parabola(
        self, errors: Matrix, least: Matrix, shift: Matrix, variance: Matrix, sigma: Matrix
    ) -> Matrix:
        """Return by how much likely shifts scatter more (n,) than those of the parabola of this `sigma`, at the shifts tried.

        By nothing where they lie between two of these, so that weights of all of them are zero.
        """
        away = (self._shifts[:, None] - shift) ** 2
        likely, usual = np.exp((least - errors) / (2 * variance)), np.exp(away / (-2 * sigma**2))
        scatter = [np.einsum("sn,sn->n", w, away) / w.sum(axis=0) for w in (likely, usual)]
        beyond: Matrix = np.fmax(scatter[0] - scatter[1], 0)
        return beyond

    def _variance(self, data: Matrix, least: Matrix, level: Matrix) -> Matrix:
        """Return the variance (n,) of noise that is even over the energies and does to a shift what the noise does.

        It is NaN where most pixels are fitted as well at a limit, or would be but for noise.  How well a spectrum itself
        is fitted there then tells nothing: those that noise has moved to the middle would seem to have a shift.
        """
        if self._noise is None:
            return np.asarray(least / self._freedom)
        if not self._told:
            return np.full(least.shape, np.nan)
        x = self._solve @ data
        squares, features = self._in_even_noise(x, least, level)
        freedom = self._noise.freedom
        even = squares / freedom if self._pool is None else self._pool(squares, freedom, level)
        amounts = self._weights @ x[: self._weights.shape[1]]
        uneven = np.einsum("fn,fkl,kn,ln->n", features, self._uneven, amounts, amounts, optimize=True)
        of_even = np.einsum("kl,kn,ln->n", self._even, amounts, amounts, optimize=True)
        variance: Matrix = np.asarray(even * uneven / of_even, np.float64)
        return variance


TINY = 1e-200
"""Amount of references below which a spectrum shows nothing."""

MOST_CONDITION = 1e8
"""Condition number from which a shift cannot be told from the references."""


def _mixture(basis: Design, spectra: Matrix) -> Matrix:
    """Return how much of each reference is in the usual spectrum (K,), in units of the largest; zero of nothing."""
    k = basis.references.shape[1]
    if not spectra.shape[1]:
        return np.zeros(k)
    found: Matrix = np.asarray(np.linalg.solve(basis.r, basis.q.T @ np.median(spectra, axis=1)), np.float64)
    largest = float(np.abs(found[-k:]).max())
    return found[-k:] / largest if TINY < largest < np.inf else np.zeros(k)


def _apart(columns: Matrix) -> bool:
    """Return whether columns are told from each other."""
    unit = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    return columns.shape[0] > columns.shape[1] and bool(np.linalg.cond(unit) < MOST_CONDITION)


def _columns(basis: Design, tilt: Matrix | None) -> Matrix:
    return np.column_stack([basis.background, basis.references, *([] if tilt is None else [tilt])])


def _level(data: FloatArray, thickness: FloatArray | None) -> Matrix:
    """Return what the noise follows: the absorption, or the thickness that was divided out."""
    if thickness is None:
        return np.asarray(data.mean(axis=0), np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        level: Matrix = np.log(np.where(thickness > 0, thickness, np.nan)).astype(np.float64)
    return level
