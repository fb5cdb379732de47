"""How spectra vary from pixel to pixel: the covariance of the energies and its principal axes.

Clustering and decomposition both begin here.  With far more pixels than energies the covariance, E x E, is
gathered in one pass over bands of rows and holds all that principal components need; the stack is neither
copied nor transposed.  Sums are taken band by band and added in order, so they are the same on any number of
threads, in memory and streamed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.engine import blocks

Float64 = NDArray[np.float64]

THINNED_PIXELS = 200_000
"""About as many pixels go into a covariance that need not be exact."""


FEW = 8
"""So many times fewer pixels than energies are few: what they span is found without all axes."""


class Bands(Protocol):
    """Where spectra come from, a band of rows at a time; a `Chain` is one."""

    image_shape: tuple[int, ...]

    def bands(self) -> list[slice]: ...

    def band(self, rows: slice) -> FloatArray: ...


@dataclass(eq=False)
class Spectra:
    """The spectra that are valid, inside the mask and finite at every energy used, with their mean and covariance.

    Attributes
    ----------
    source : Bands
    used : array of int (e,)
        Energies looked at: in the range, and not lost (NaN everywhere).
    centre : array (E,)
        About the mean spectrum; subtracted before anything else is done.
    valid : array of bool (N,)
    invalid : int
        Pixels inside the mask that are not valid.
    mean : array (e,)
    variance : float
        Mean square distance of a valid spectrum from the mean spectrum.
    covariance : array (e, e)
        Of every `thin`-th pixel's spectrum, divided by their number.
    """

    source: Bands
    used: NDArray[np.intp]
    center: FloatArray
    valid: NDArray[np.bool_]
    thin: int = 1
    progress: Progress = no_progress
    workers: int | None = None
    invalid: int = field(init=False)
    variance: float = field(init=False)

    def __post_init__(self) -> None:
        self.image_shape = self.source.image_shape
        self.bands = self.source.bands()
        self.rows = _as_slice(self.used)
        self._width = prod(self.image_shape[1:])
        inside = self.count
        self.mean, self.covariance = self._gather()
        self.invalid = inside - self.count

    @property
    def count(self) -> int:
        """Number of valid pixels."""
        return int(np.count_nonzero(self.valid))

    @property
    def mean_square(self) -> float:
        """Mean square length of a spectrum."""
        return self.variance + float(self.mean @ self.mean)

    def run(self, work: Callable[[int], None], text: str) -> None:
        """Call `work` with the index of every band, on threads."""
        blocks.run(work, range(len(self.bands)), progress=self.progress, text=text, workers=self.workers)

    def pieces(self, band: int) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Yield pixels, their spectra (E, n) as they are, and a copy (e, n) minus the centre, 0 where invalid."""
        rows = self.bands[band]
        spectra = self.source.band(rows)
        first = rows.start * self._width
        for start in range(0, spectra.shape[1], blocks.CHUNK_PIXELS):
            raw = spectra[:, start : start + blocks.CHUNK_PIXELS]
            pixels = slice(first + start, first + start + raw.shape[1])
            with np.errstate(invalid="ignore"):  # infinities, which are invalid
                y = np.subtract(raw[self.rows], self.center[self.rows, None], order="C")
            outside = ~self.valid[pixels]
            if outside.any():
                y[:, outside] = 0
            yield pixels, raw, y

    def _gather(self) -> tuple[Float64, Float64]:
        """Find the valid pixels, and return the mean of their spectra and the covariance of every `thin`-th."""
        n = self.used.size
        sums, powers = np.zeros((len(self.bands), n)), np.zeros((len(self.bands), n))
        thinned, squares = np.zeros((len(self.bands), n)), _InOrder(n)
        numbers = np.zeros(len(self.bands), np.int64)

        def gather(band: int) -> None:
            square = np.zeros((n, n))
            for pixels, _, y in self.pieces(band):
                with np.errstate(over="ignore", invalid="ignore"):
                    power = np.einsum("ij,ij->i", y, y)
                    if not np.isfinite(power).all():
                        bad = ~np.isfinite(y).all(axis=0)
                        self.valid[pixels] &= ~bad
                        y[:, bad] = 0
                        power = np.einsum("ij,ij->i", y, y)
                    few = y if self.thin == 1 else np.ascontiguousarray(y[:, :: self.thin])
                    square += few @ few.T
                sums[band] += y.sum(axis=1)
                powers[band] += power
                thinned[band] += few.sum(axis=1)
                numbers[band] += np.count_nonzero(self.valid[pixels][:: self.thin])
            squares.add(band, square)

        self.run(gather, "Covariance of spectra")
        number = int(numbers.sum())
        if not self.count:
            raise InputError(
                f"no pixel inside the mask is valid at all {n} energies used; leave out images that are mostly NaN."
            )
        if self.thin > 1 and number < THINNED_PIXELS // 2:  # most are invalid
            self.thin = 1
            return self._gather()
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused below
            shift, shift_thinned = sums.sum(axis=0) / self.count, thinned.sum(axis=0) / number
            covariance = squares.total / number - np.outer(shift_thinned, shift_thinned)
            total = powers.sum(axis=0) / self.count - shift**2
            self.variance = float(np.trace(covariance) if self.thin == 1 else total.sum())
            mean = self.center[self.used] + shift
            power = self.variance + float(mean @ mean)
        if not (np.isfinite(covariance).all() and np.isfinite(power)):
            raise InputError(
                "there are values too large to be squared; mask those pixels or set them to NaN."
            )
        return mean, covariance

    def sample(self, most: int, seed: int, axes: Float64 | None = None) -> FloatArray:
        """Return at most `most` valid spectra minus `centre` (n, e), or their products with axes (d, e).

        One is drawn at random from each of as many stretches of valid pixels, which are of equal length.
        """
        within = [slice(rows.start * self._width, rows.stop * self._width) for rows in self.bands]
        before = np.concatenate([[0], np.cumsum([np.count_nonzero(self.valid[part]) for part in within])])
        count = int(before[-1])
        edges = np.arange(min(most, count) + 1) * count // min(most, count)
        ranks = edges[:-1] + (np.random.default_rng(seed).random(edges.size - 1) * np.diff(edges)).astype(int)
        turn = None if axes is None else axes.astype(self.center.dtype)
        drawn = np.empty((ranks.size, self.used.size if axes is None else len(axes)), self.center.dtype)

        def draw(band: int) -> None:
            first, last = np.searchsorted(ranks, before[band : band + 2])
            columns = np.flatnonzero(self.valid[within[band]])[ranks[first:last] - before[band]]
            if first == last:
                return
            spectra = self.source.band(self.bands[band])[self.rows]
            for start in range(first, last, blocks.CHUNK_PIXELS):
                stop = min(start + blocks.CHUNK_PIXELS, last)
                y = np.ascontiguousarray(spectra[:, columns[start - first : stop - first]])
                y -= self.center[self.rows, None]
                drawn[start:stop] = y.T if turn is None else (turn @ y).T

        self.run(draw, "Sample of spectra")
        return drawn

    def project(self, axes: Float64, origin: Float64) -> FloatArray:
        """Return the coordinates (n, ...) of all pixels along axes (n, e) from an origin (e,), NaN where invalid."""
        dtype = self.center.dtype
        along = axes.astype(dtype)
        offset = (axes @ (origin - self.center[self.used])).astype(dtype)[:, None]
        scores = np.empty((len(axes), self.valid.size), dtype)

        def one_band(band: int) -> None:
            for pixels, _, y in self.pieces(band):
                part = scores[:, pixels]
                np.subtract(along @ y, offset, out=part)
                part[:, ~self.valid[pixels]] = np.nan

        self.run(one_band, "Maps of components")
        return scores.reshape(len(axes), *self.image_shape)

    def left_by(self, columns: Float64, noise: Float64) -> FloatArray:
        """Return the root mean square (...) of spectra divided by `noise` (e,), less their projection on columns (e, c)."""
        u, s, _ = np.linalg.svd(columns, full_matrices=False)
        dtype, basis = self.center.dtype, u[:, s > 1e-9 * s[0]]
        within, weight = basis.astype(dtype), (1 / noise).astype(dtype)[:, None]
        center = self.center[self.used, None] * weight
        left, free = np.empty(self.valid.size, dtype), max(len(noise) - basis.shape[1], 1)

        def one_band(band: int) -> None:
            for pixels, _, y in self.pieces(band):
                y = y * weight + center
                y -= within @ (within.T @ y)
                left[pixels] = np.sqrt(np.einsum("ij,ij->j", y, y) / free)

        self.run(one_band, "Noise of maps")
        return np.where(self.valid, left, np.nan).reshape(self.image_shape)

    def placed(self, values: Float64) -> Float64:
        """Return values (..., e) at the energies used as values at all energies, (..., E), NaN elsewhere."""
        whole = np.full((*values.shape[:-1], self.center.size), np.nan)
        whole[..., self.used] = values
        return whole


class _InOrder:
    """The sum of matrices (n, n) that come in any order, added in order; only those that wait are kept."""

    def __init__(self, n: int) -> None:
        self.total = np.zeros((n, n))
        self._waiting: dict[int, Float64] = {}
        self._next, self._lock = 0, Lock()

    def add(self, number: int, one: Float64) -> None:
        """Add the matrix of a number."""
        with self._lock, np.errstate(over="ignore", invalid="ignore"):
            self._waiting[number] = one
            while self._next in self._waiting:
                self.total += self._waiting.pop(self._next)
                self._next += 1


def _as_slice(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return consecutive indices as a slice, which gives a view."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == indices.size else indices


def principal_axes(covariance: Float64, pixels: int) -> tuple[Float64, Float64]:
    """Return all variances (e,) of a number of pixels, descending, and their axes (e, e), rows of length 1.

    The largest entry of every axis is positive, so that signs are always the same.  Of pixels far fewer than energies
    there are only as many axes as pixels.
    """
    found: list[tuple[Float64, Float64]] = []
    alone(lambda: found.append(_few_axes(covariance, pixels) or np.linalg.eigh(covariance)))
    variances, columns = found[0]
    axes = columns[:, ::-1].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    every = np.zeros(len(covariance))
    every[: variances.size] = np.maximum(variances[::-1], 0)
    return every, np.ascontiguousarray(axes * np.where(largest < 0, -1, 1))


def _few_axes(covariance: Float64, pixels: int) -> tuple[Float64, Float64] | None:
    """Return variances (pixels,), ascending, and their axes in columns, where few pixels leave the others empty."""
    if pixels * FEW > len(covariance):
        return None
    directions = np.random.default_rng(0).normal(size=(len(covariance), pixels))
    spanned = np.linalg.qr(covariance @ directions)[0]
    variances, within = np.linalg.eigh(spanned.T @ covariance @ spanned)
    return variances, spanned @ within


def alone(work: Callable[[], None]) -> None:
    """Do one piece of work with BLAS on one thread, so that it gives the same on any machine's number of cores."""
    blocks.run(lambda _: work(), [0], workers=1)


def check_number(number: Any, name: str, most: int, reason: str) -> int:
    """Return a number of clusters or components, 1 to `most`, or say what is wrong."""
    try:
        n = operator.index(number)
    except TypeError:
        raise InputError(f"{name} is {number!r}, expected a whole number.") from None
    if not 1 <= n <= most:
        raise InputError(f"{name} is {n}, expected 1 to {most}, because {reason}.")
    return n
