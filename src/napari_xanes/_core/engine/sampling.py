"""Which pixels are looked at where all would be too many: for mean spectra, shared slopes, choosing a setting.

Pixels depend on the image's shape alone, so that a stack and an array of the same numbers give the same.
"""

from __future__ import annotations

from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.stack import pieces, rows_are_cheap

FEWEST_ROWS, MOST_ROWS, ENOUGH = 16, 32, 16_384
"""Rows, spread over the frame, that are looked at: the more of short ones, until they hold enough pixels."""

TOGETHER = 2
"""Planes of a volume that are looked at side by side; where all energies are read at once, no more rows than these are."""

SAMPLE_SPECTRA = 16_384
"""About this many spectra are looked at, at most."""


def sampled_rows(image_shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the rows (y, or z of a volume) that are looked at: of volumes two by two, as alignment reads those around."""
    n = image_shape[0]
    if not prod(image_shape):
        raise InputError(f"images of shape {image_shape} hold no pixels; there must be some.")
    most = SAMPLE_SPECTRA
    if len(image_shape) > 1:
        most = min(max(ENOUGH // prod(image_shape[1:]), FEWEST_ROWS), MOST_ROWS)
    together = TOGETHER if len(image_shape) > 2 and n > most else 1
    first = np.linspace(0, n - together, min(most // together, n)).round().astype(np.intp)
    return np.unique([first + k for k in range(together)])


def runs_of(rows: NDArray[np.intp], longest: int | None = None) -> list[slice]:
    """Return ascending rows as ranges of those that follow one another, of at most `longest` rows if given."""
    ends, most = np.flatnonzero(np.diff(rows) > 1) + 1, longest or rows.size
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, ends)]
    return [slice(a, min(a + most, stop)) for start, stop in runs for a in range(start, stop, most)]


def sampled_columns(image_shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the pixels that are looked at in each of `sampled_rows`, as indices into the flattened row."""
    width = prod(image_shape[1:])
    step = max(1, round(sampled_rows(image_shape).size * width / SAMPLE_SPECTRA)) if image_shape[1:] else 1
    while gcd(step, image_shape[-1]) > 1:  # otherwise a volume would be seen in a few columns only
        step += 1
    return np.arange(0, width, step, dtype=np.intp)


def sampled_pixels(image_shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the pixels that are looked at, as indices into the flattened image."""
    rows, columns = sampled_rows(image_shape), sampled_columns(image_shape)
    return (rows[:, None] * prod(image_shape[1:]) + columns).ravel()


def sampled_values(image: NDArray[Any]) -> NDArray[Any]:
    """Return the values (n,) that are looked at of one image."""
    rows, columns = sampled_rows(image.shape), sampled_columns(image.shape)
    return image[rows].reshape(rows.size, -1)[:, columns].ravel()


def sampled_spectra(mu: NDArray[Any] | Unread) -> NDArray[Any]:
    """Return the spectra (E, n) that are looked at of an array (E, ...), as a copy."""
    if isinstance(mu, Unread):
        return _sampled_unread(mu)
    if mu.ndim == 1:
        return mu[:, None].copy()
    rows, columns = sampled_rows(mu.shape[1:]), sampled_columns(mu.shape[1:])
    spectra = mu.take(rows, axis=1).reshape(len(mu), rows.size, -1)
    if columns.size < spectra.shape[2]:
        spectra = spectra.take(columns, axis=2)
    return spectra.reshape(len(mu), -1)


def _sampled_unread(mu: Unread) -> NDArray[Any]:
    """Read only the rows that are looked at, all energies of some; or frames, where rows are not cheap, one by one."""
    rows, columns = sampled_rows(mu.shape[1:]), sampled_columns(mu.shape[1:])
    n, few = len(mu), rows.size < mu.shape[1]
    spectra = np.empty((n, rows.size, columns.size), mu.dtype)
    if few and mu.ndim > 2 and (rows_are_cheap(mu) or pieces(mu)[0] > 1):
        done = 0
        for run in runs_of(rows, TOGETHER):
            there = slice(done, done + run.stop - run.start)
            _pick(mu[:, run], columns, spectra[:, there])
            done = there.stop
    else:
        for i in range(n):
            spectra[i] = mu[i][rows].reshape(rows.size, -1)[:, columns]
    return spectra.reshape(n, -1)


def _pick(part: NDArray[Any], columns: NDArray[np.intp], out: NDArray[Any]) -> None:
    """Copy columns of rows (E, n, ...), row by row; here, so that no rows are held while the next are read."""
    for row in range(part.shape[1]):
        out[:, row] = part[:, row].reshape(len(part), -1)[:, columns]


def complete_pixels(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels (n,) are valid in all frames, by `valid` (E, n); frames without any valid pixel do not count.

    A mean over others would jump from frame to frame, as pixels at a border that drifts out of view come and go.
    """
    used = valid[np.any(valid, axis=1)]
    complete: NDArray[np.bool_] = np.all(used, axis=0) & np.any(valid, axis=0)
    return complete


def mean_of_complete(spectra: NDArray[Any], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean (E,) of the pixels that are valid in all usable frames, of whatever is valid if there are none.

    Pixels at a border that drifts out of view would otherwise put steps of their own into the mean.
    """
    valid = np.isfinite(spectra)
    complete = valid[usable].all(axis=0)
    valid &= complete | ~complete.any()
    total = np.where(valid, spectra, 0).sum(axis=1, dtype=np.float64)
    mean: NDArray[np.float64] = total / np.maximum(valid.sum(axis=1), 1)
    return mean
