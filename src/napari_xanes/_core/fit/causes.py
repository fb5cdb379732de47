"""Which cause explains what a fit leaves: shift, resolution, thickness, flicker, or a missing reference.

Everything is told from second moments: the covariance of the residuals, and their sums weighted by the amounts of
the references and by powers of the thickness.  Residuals are looked at besides what the fit explains, in
units of the noise of each energy.  A cause with one unknown (by how many eV the energies are off) must explain nearly
all that stands above the noise; what none of them does is the trace of something that is not among the references.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.noise import LEAST_FREE, LEAST_MEAN, MOST_COMPONENTS, limit_of_noise
from napari_xanes._core.fit.patterns import Matrix, Patterns

Cause = Literal["energy shift", "resolution", "thickness", "flicker", "missing reference"]

EXPLAINS = 0.7
"""Share of what stands above the noise that a cause must explain to be named."""

EVEN, ABOUT_EVEN = 0.85, 0.7
"""Share that what is the same in all pixels must explain to be flicker; where thickness is only guessed, the latter."""

FOLLOWS = 0.93
"""Correlation of a component with a cause's pattern from which it is of that cause, though of uneven strength."""

SURE, SURE_ALONE = 6.0, 12.0
"""Standard errors by which the size of a cause must differ from nothing, and where no component stands above noise."""

FURTHER = 0.1
"""Share of what the first cause explains that a further one must explain."""

MANY, FEW_ROUNDS = 16, 6
"""Free energies from which noisy frames are told from components one at a time; rounds for fewer, which do not settle."""

WORST_SPOILED = 30.0
"""Condition number up to which spoiled coefficients are put right."""

ROUNDS, MOST_CAUSES, LEAST_FREE_ENERGIES = 20, 3, 3


@dataclass(frozen=True, eq=False)
class Moments:
    """Of residuals (e, n) in units of optical density (or of the pixels' noise), n pixels.

    Attributes
    ----------
    covariance : array (e, e)
        Mean of the products, about zero.
    weighted : array (e, q)
        Residuals summed with q weights: the amounts of the K references, their sum, the products of each two
        amounts, these times the sum, and one.
    products : array (q, q)
        Sums of products of these weights.
    pixels : int
    crowding : float
        By how much the variance of sums is larger than that of independent pixels.
    """

    covariance: Matrix
    weighted: Matrix
    products: Matrix
    pixels: int
    crowding: float


@dataclass(frozen=True, eq=False)
class FoundCause:
    """One cause: its size in its own unit, its pattern (e,) in the mean pixel, and how much it explains.

    That is its sum of squares, and its share of what stands above noise.
    """

    cause: Cause
    size: float
    pattern: Matrix
    power: float
    share: float


@dataclass(frozen=True, eq=False)
class Findings:
    """What stands above noise.

    Attributes
    ----------
    causes : tuple of FoundCause
        The strongest first.
    noise : array (e,)
        Standard deviation of the noise at each energy.
    component : array (e,)
        Spectrum of the strongest component, its mean square being that over pixels.
    rest : array (f, e)
        Turns residuals into what is noise alone, its variance one.
    look : array (e,)
        Its product with a pixel's spectrum says how much of the component there is, in standard errors.
    strength, limit : float
        Variance of that component in units of the noise's, and what noise alone reaches.
    """

    causes: tuple[FoundCause, ...]
    noise: Matrix
    component: Matrix
    rest: Matrix
    look: Matrix
    strength: float
    limit: float


@dataclass(frozen=True, eq=False)
class _White:
    """Residuals in units of the noise, besides what is explained: `turn` (d, e) takes them there."""

    turn: Matrix
    noise: Matrix
    variances: Matrix
    vectors: Matrix
    level: float
    count: int
    limit: float


def name_causes(moments: Moments, columns: Matrix, patterns: Patterns, even: float = EVEN) -> Findings | None:
    """Name what explains the residuals besides combinations of `columns` (e, c); None if there are too few energies.

    Flicker must explain the share `even`.
    """
    if columns.shape[0] - np.linalg.matrix_rank(columns) < LEAST_FREE_ENERGIES:
        return None
    white = _whitened(moments, columns)
    turned = white.turn @ moments.covariance @ white.turn.T
    sums = white.turn @ moments.weighted
    causes: list[FoundCause] = []
    while len(causes) < MOST_CAUSES:
        step = _strongest(turned, sums, moments, white, patterns, even)
        if step is None:
            break
        found, pattern = step
        if causes and found.power < FURTHER * causes[0].power:
            break
        if found.cause in {c.cause for c in causes}:
            break
        causes.append(found)
        if found.cause == "missing reference":
            break
        turned, sums = _without(turned, sums, moments, pattern)
    axis = white.vectors[:, 0]
    look = white.turn.T @ axis
    component = white.noise**2 * look  # the axis in units of the residuals, without what the fit explains
    size = np.sqrt(
        max(float(white.variances[0]) - white.level, 0) / max(float(component @ component), 1e-300)
    )
    return Findings(
        tuple(causes),
        white.noise * np.sqrt(white.level),
        component * size,
        (white.vectors[:, white.count :].T @ white.turn) / np.sqrt(white.level),
        look / np.sqrt(white.level),
        float(white.variances[0] / white.level),
        white.limit,
    )


def _whitened(moments: Moments, columns: Matrix) -> _White:
    """Find the noise of every energy, from what components above it leave.

    Components are let in one at a time, or a noisy frame would be taken for one; of few energies all at once, or
    one would be taken for noisy frames.
    """
    e = columns.shape[0]
    noise = np.ones(e)
    pixels = moments.pixels / moments.crowding
    unit = columns / np.linalg.norm(columns, axis=0)
    few = unit.shape[0] - unit.shape[1] < MANY
    kept, settled = 0, False
    for _ in range(FEW_ROUNDS if few else ROUNDS):
        u, s, _ = np.linalg.svd(unit / noise[:, None], full_matrices=True)
        rank = int((s > 1e-9 * s[0]).sum())
        turn = u[:, rank:].T / noise
        variances, vectors = np.linalg.eigh(turn @ moments.covariance @ turn.T)
        variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
        count = _count(variances, pixels)
        if settled and (few or count == kept):
            break
        kept = count if few else min(count, kept + 1)
        rest = u[:, rank:] @ vectors[:, kept:]  # directions of noise alone
        free = (rest**2).sum(axis=1)
        change = np.einsum("ik,k,ik->i", rest, variances[kept:], rest) / np.maximum(free, LEAST_FREE)
        change = np.maximum(change, 1e-4 * float(np.mean(change)) + 1e-300)
        change /= np.exp(np.log(change).mean())
        known = free > LEAST_FREE  # of the other energies nothing is known
        before, noise = noise, np.where(known, noise * np.sqrt(np.clip(change, 0.1, 10)), noise)
        settled = bool(np.abs(np.log(noise / before)).max() < 0.02)
    noise, count = before, kept
    level = float(variances[count:].mean())
    limit = limit_of_noise(variances.size, pixels)
    return _White(turn, noise, variances, vectors, max(level, 1e-30), count, limit)


def _count(variances: Matrix, pixels: float) -> int:
    """Return how many variances, descending, are above noise, judged one after the other by those that follow."""
    most = min(MOST_COMPONENTS, max(variances.size - 2, 1))
    for k in range(most):
        level = max(float(variances[k + 1 :].mean()), LEAST_MEAN * float(variances.mean()))
        if variances[k] <= limit_of_noise(variances.size - k, pixels) * level:
            return k
    return most


def _candidates(patterns: Patterns, mean: Matrix) -> Iterator[tuple[Cause, float, Matrix]]:
    """Give each cause, a size, and its pattern (e, q) for every weight; `mean` (K,) is the mixture at thickness one."""
    k, known = mean.size, patterns.references
    pairs = list(combinations_with_replacement(range(k), 2))
    empty = np.zeros((patterns.energy.size, k + 2 * len(pairs) + 2))
    sized: list[tuple[Cause, dict[float, Matrix]]] = [
        ("energy shift", patterns.shifts),
        ("resolution", patterns.widths),
    ]
    for cause, sizes in sized:
        for size, pattern in sizes.items():
            own, common = empty.copy(), empty.copy()
            own[:, :k], common[:, k] = pattern, pattern @ mean
            yield cause, size, own
            yield cause, size, common
            if (before := _before(patterns, pattern)) is not None:
                righted = empty.copy()
                righted[:, :k] = pattern @ before
                yield cause, size, righted
    own, common = empty.copy(), empty.copy()
    squares = np.stack([known[:, i] * known[:, j] * (1 if i == j else 2) for i, j in pairs], axis=1)
    curve = known @ mean
    start = k + 1
    own[:, start : start + len(pairs)] = -squares / 2
    common[:, start : start + len(pairs)] = -(curve**2)[:, None] * [1 if i == j else 2 for i, j in pairs] / 2
    yield "thickness", 1.0, own.copy()
    yield "thickness", 1.0, common
    own[:, start + len(pairs) : -1] = -squares * curve[:, None] / 6
    yield "thickness", 1.0, own


def _before(patterns: Patterns, pattern: Matrix) -> Matrix | None:
    """Return the matrix (K, K) that gives true coefficients from those fitted, which the pattern has spoiled."""
    spoiled = np.eye(pattern.shape[1]) + patterns.absorbed(pattern)
    if np.linalg.cond(spoiled) > WORST_SPOILED:
        return None
    righted: Matrix = np.asarray(np.linalg.inv(spoiled), np.float64)
    return righted


def weights_of(coefficients: FloatArray) -> FloatArray:
    """Return what residuals are summed with (q, n): see `Moments`."""
    total = coefficients.sum(axis=0)
    pairs = combinations_with_replacement(range(len(coefficients)), 2)
    products = [coefficients[i] * coefficients[j] for i, j in pairs]
    return np.stack([*coefficients, total, *products, *(p * total for p in products), np.ones_like(total)])


def _strongest(
    turned: Matrix, sums: Matrix, moments: Moments, white: _White, patterns: Patterns, even: float
) -> tuple[FoundCause, Matrix] | None:
    """Return the cause that explains most of what is left, and its pattern (d, q) to be taken off; None for noise."""
    n, d = moments.pixels, turned.shape[0]
    variances, vectors = np.linalg.eigh(turned)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    above = variances > white.limit * white.level
    standing = n * float((variances[above] - white.level).sum())
    k = patterns.references.shape[1]
    products, level = moments.products, white.level * moments.crowding
    mean = products[:k, k] / products[k, k]
    sure = SURE if above[0] else SURE_ALONE
    best: tuple[FoundCause, Matrix] | None = None
    axis = vectors[:, 0]
    for cause, size, pattern in _candidates(patterns, mean):
        here = white.turn @ pattern
        along = float((here * sums).sum())
        length = float(np.einsum("dq,qr,dr->", here, products, here))
        if length <= 1e-12 * n or along <= sure * np.sqrt(level * length):
            continue
        theta, power = along / length, along**2 / length
        share = power / max(standing, power)
        typical = here @ products[:, k]
        follows = abs(float(axis @ typical)) / max(float(np.linalg.norm(typical)), 1e-300)
        if share < EXPLAINS and above[0] and d >= 6 and follows >= FOLLOWS:
            share = max(share, EXPLAINS * follows)
        whole = pattern @ products[:, k] / products[k, k] * theta
        if best is None or power > best[0].power:
            best = (FoundCause(cause, size * theta, whole, power, share), here * theta)
    frames = _flicker(sums, moments, white, standing)
    steady = frames is not None and (frames[0].share >= even or not above[0])
    if frames is not None and steady and (best is None or frames[0].power > 1.1 * best[0].power):
        best = frames
    if best is not None and (best[0].share >= EXPLAINS or not above[0]):
        return best
    if not above[0]:
        return None
    size = float(np.sqrt(variances[0] / white.level - 1))
    pattern = white.noise**2 * (white.turn.T @ vectors[:, 0]) * np.sqrt(white.level) * size
    return FoundCause("missing reference", size, pattern, standing, 1.0), np.zeros_like(sums)


def _flicker(
    sums: Matrix, moments: Moments, white: _White, standing: float
) -> tuple[FoundCause, Matrix] | None:
    """Return what is the same in all pixels, whatever their thickness."""
    length = float(moments.products[-1, -1])
    frames = sums[:, -1] / length
    noise = white.level * moments.crowding * frames.size
    power = float(frames @ frames) * length - noise
    if power <= SURE * noise / np.sqrt(frames.size / 2):
        return None
    here = np.zeros_like(sums)
    here[:, -1] = frames
    pattern = white.noise**2 * (white.turn.T @ frames)
    size = float(np.sqrt(np.mean(pattern**2)))
    return FoundCause("flicker", size, pattern, power, power / max(standing, power)), here


def _without(turned: Matrix, sums: Matrix, moments: Moments, pattern: Matrix) -> tuple[Matrix, Matrix]:
    """Return the second moments of the residuals less a cause's pattern (d, q)."""
    cross = pattern @ sums.T
    own = pattern @ moments.products @ pattern.T
    return turned - (cross + cross.T - own) / moments.pixels, sums - pattern @ moments.products


def bias_of(found: FoundCause, patterns: Patterns, mean: Matrix) -> Matrix:
    """Return by how much a cause moves the fractions of the mean mixture (K,).

    What the fit makes of a flickering beam or of a compound it does not know is not known: that is NaN.
    """
    if found.cause in ("flicker", "missing reference"):
        return np.full(mean.size, np.nan)
    before = mean - patterns.absorbed(found.pattern[:, None])[:, 0]
    bias: Matrix = mean / mean.sum() - before / before.sum()
    return bias
