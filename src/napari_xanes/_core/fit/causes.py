"""Which cause explains what a fit leaves: shift, resolution, thickness, flicker, drift, or a missing reference.

Everything is told from what residuals of neighbouring pixels have in common (see `structure`).  A cause with one
unknown (by how many eV the energies are off) must explain nearly all of that; so must flicker, which may be anything
over the energies but is the same in all pixels, and drift, which follows the slopes of the image.  What none of them
does is the trace of something that is not among the references, if its spectrum runs as one of a compound does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_xanes._core.fit.noise import spanned
from napari_xanes._core.fit.patterns import SHIFTS, WIDTHS, Candidates, Cause, Matrix, Patterns, candidates
from napari_xanes._core.fit.structure import (
    Sampled,
    Structure,
    Sums,
    find_structure,
    is_smooth,
    runs_smoothly,
    spectrum_of,
)

EXPLAINS = 0.7
"""Share of what stands above the noise that a cause must explain to be named."""

PARTLY = 0.5
"""Share that a cause may explain at most for a reference to be missing; between the two the cause is unclear."""

NOT_IN_EACH, LEAST_IN_EACH = 0.15, 0.7
"""Share of the variance of single pixels along a component that its cause may leave, or in units of the noise's."""

STEEP = 0.35
"""Share of the excess over noise that follows the slopes of the image where frames are displaced."""

BETTER, TOLD = 0.4, 4.0
"""By how much flicker, or what goes with the amounts, must explain more than the other: share of what differs, standard errors."""

LEAST_UNLIKE = 0.003
"""Variance of the amount of the element over the pixels, relative, from which the two can be told apart by it."""

FOLLOWS = 0.93
"""Correlation of a component with a cause's pattern from which it is of that cause, though of uneven strength."""

SURE = 6.0
"""Standard errors by which the size of a cause must differ from nothing."""

FARTHER, FARTHEST = 2.5, 1.4
"""How many times a size that was tried a cause may have, and the largest one."""

FURTHER = 0.1
"""Share of what the first cause explains that a further one must explain."""

MOST_CAUSES, LEAST_FREE_ENERGIES = 3, 3


@dataclass(frozen=True, eq=False)
class FoundCause:
    """One cause: its size in its own unit, its pattern (e,) in the mean pixel, and how much it explains.

    That is its sum of squares, and its share of what stands above noise.  `alike`: in all pixels but for the amounts.
    `parts` (e, K): what it makes of each reference, where that is linear.
    """

    cause: Cause
    size: float
    pattern: Matrix
    power: float
    share: float
    alike: bool = False
    parts: Matrix | None = None


@dataclass(frozen=True, eq=False)
class Findings:
    """What stands above noise.

    Attributes
    ----------
    causes : tuple of FoundCause
        The strongest first.
    structure : Structure
    axis : array (d,)
        Direction of the strongest component.
    strength, limit : float
        Its variance in units of the noise's, and what noise alone reaches.
    """

    causes: tuple[FoundCause, ...]
    structure: Structure
    axis: Matrix
    strength: float
    limit: float

    @property
    def noise(self) -> Matrix:
        """Standard deviation of the noise at each energy (e,)."""
        noise: Matrix = self.structure.noise * np.sqrt(self.structure.level)
        return noise

    @property
    def look(self) -> Matrix:
        """What gives, times a pixel's spectrum, how much of the component there is, in standard errors (e,)."""
        along: Matrix = self.structure.turn.T @ self.axis / np.sqrt(self.structure.level)
        return along

    @property
    def component(self) -> Matrix:
        """Spectrum (e,) of the component, its mean square being that over pixels."""
        spectrum = spectrum_of(self.structure, self.axis)
        size = np.sqrt(max(self.strength - 1, 0) * self.structure.level)
        sized: Matrix = spectrum * (size / max(float(np.linalg.norm(self.structure.turn @ spectrum)), 1e-300))
        return sized


def name_causes(sampled: Sampled, columns: Matrix, patterns: Patterns) -> Findings | None:
    """Name what explains the residuals besides combinations of `columns` (e, c); None if there are too few energies."""
    basis = spanned(columns)
    if basis.shape[0] - basis.shape[1] < LEAST_FREE_ENERGIES:
        return None
    structure = find_structure(sampled, basis)
    tried = _tried(structure, patterns)
    strengths, axes = structure.standing
    axis, excess, limit = axes[:, 0], max(float(strengths[0]), 0.0), structure.limit
    shared, own = structure.shared, structure.own
    causes: list[FoundCause] = []
    displaced = _displaced(structure, sampled, patterns.references.shape[1])
    while len(causes) < MOST_CAUSES:
        step = _strongest(structure, shared, own, patterns, tried)
        power = 0.0 if step is None or step[0].cause in ("missing reference", "unclear") else step[0].power
        if not causes and displaced is not None and displaced.power > power:
            causes.append(displaced)
            values, vectors = np.linalg.eigh(structure.own.left / structure.pairs)
            axis, excess, limit = vectors[:, -1], values[-1] - structure.level, structure.limit_of_own
            limit -= structure.level
            break
        if step is None:
            break
        found, pattern = step
        if causes and found.power < FURTHER * causes[0].power:
            break
        if found.cause in {c.cause for c in causes}:
            break
        causes.append(found)
        if pattern is None:
            break
        shared, own = shared.without(pattern), own.without(pattern)
    level = structure.level
    return Findings(tuple(causes), structure, axis, float(1 + excess / level), float(1 + limit / level))


def _strongest(
    structure: Structure, shared: Sums, own: Sums, patterns: Patterns, tried: Sequence[_Tried]
) -> tuple[FoundCause, Matrix | None] | None:
    """Return the cause that explains most of what is left, and its pattern (d, q) to be taken off; None for noise."""
    first = shared is structure.shared
    strengths, axes = structure.standing if first else structure.components(shared.left)
    standing = structure.pairs * float(strengths.sum())
    axis = axes[:, 0]
    best: tuple[FoundCause, Matrix | None] | None = _sized(structure, shared, own, tried, standing, axis)
    if not standing:
        return best
    even = _even(structure, shared, own, patterns, standing)
    if even is not None and (best is None or even[0].power > 1.1 * best[0].power):
        best = even
    if best is not None and best[0].share >= EXPLAINS:
        return best
    smooth = runs_smoothly(structure, axis, patterns.energy, strengths[0])
    known = best is not None and best[0].cause != "missing reference" and best[0].share > PARTLY
    cause: Cause = "unclear" if smooth is False or (known and not smooth) else "missing reference"
    size = float(np.sqrt(strengths[0] / structure.level))
    return FoundCause(cause, size, spectrum_of(structure, axis) * np.sqrt(strengths[0]), standing, 1.0), None


@dataclass(frozen=True, eq=False)
class _Tried:
    """Candidates as they are seen in a structure: (m, d, w), their squares in pairs and in single pixels, which are alike (m,)."""

    given: Candidates
    here: Matrix
    lengths: Matrix
    wholes: Matrix


def _tried(structure: Structure, patterns: Patterns) -> list[_Tried]:
    shared, own, k = structure.shared.products, structure.own.products, patterns.references.shape[1]
    total = float(shared[k, k])
    mean = shared[:k, k] / (total if total > 0 else 1.0)
    tried = []
    for given in candidates(patterns, mean):
        here, w = (structure.turn @ given.plain)[given.of] @ given.mixed, given.mixed.shape[2]
        squares = (here.transpose(0, 2, 1) @ here).reshape(len(here), w * w)
        tried.append(_Tried(given, here, squares @ shared[:w, :w].ravel(), squares @ own[:w, :w].ravel()))
    return tried


def _sized(
    structure: Structure, shared: Sums, own: Sums, tried: Sequence[_Tried], standing: float, axis: Matrix
) -> tuple[FoundCause, Matrix] | None:
    """Return the best of the causes with one unknown, and its pattern (d, q)."""
    found = [_best_of(one, shared, structure.level * structure.crowding, structure.pairs) for one in tried]
    power, theta, one, i = max(found, key=lambda best: best[0])
    if power == 0:
        return None
    cause, w, total = one.given.causes[i], one.here.shape[2], tried[0].here.shape[2] - 1
    here = np.zeros_like(shared.weighted)
    here[:, :w] = one.here[i] * theta
    share = power / max(standing, power)
    amounts = shared.products[:, total]
    typical = here @ amounts
    follows = abs(float(axis @ typical)) / max(float(np.linalg.norm(typical)), 1e-300)
    if share < EXPLAINS and len(structure.turn) >= 6 and follows >= FOLLOWS:
        share = max(share, EXPLAINS * follows)
    if standing and not _in_each(structure, own, here, axis):
        share = min(share, PARTLY)
    pattern, k = one.given.pattern(i) * theta, w - 1
    mean_pixel = pattern @ amounts[:w] / amounts[total]
    parts = None if cause == "thickness" else pattern[:, :k] + pattern[:, k:]
    return FoundCause(cause, float(one.given.sizes[i]) * theta, mean_pixel, power, share, parts=parts), here


def _best_of(one: _Tried, shared: Sums, chance: float, pairs: int) -> tuple[float, float, _Tried, int]:
    """Return the power and the strength of the best candidate that stands above chance, and which it is; 0 for none."""
    along = np.tensordot(one.here, shared.weighted[:, : one.here.shape[2]])
    lengths = np.where(one.lengths > 1e-12 * pairs, one.lengths, np.inf)  # the fit takes the others whole
    theta, power = along / lengths, along**2 / lengths
    known = along > SURE * np.sqrt(chance * np.maximum(one.wholes, 0))
    if "thickness" not in one.given.causes:
        largest = np.isin(np.abs(one.given.sizes), (SHIFTS[-1], WIDTHS[-1]))
        known &= theta <= np.where(largest, FARTHEST, FARTHER)
    i = int(np.argmax(np.where(known, power, 0.0)))
    return float(power[i]) if known[i] else 0.0, float(theta[i]), one, i


def _in_each(structure: Structure, own: Sums, pattern: Matrix, axis: Matrix) -> bool:
    """Return whether a pattern (d, q) explains the component along an axis in single pixels, not only in their mean."""
    n, along = structure.pairs, axis @ pattern
    excess = float(axis @ own.left @ axis) / n - structure.level
    explained = float(2 * (axis @ own.weighted) @ along - along @ own.products @ along) / n
    return excess - explained <= max(NOT_IN_EACH * excess, LEAST_IN_EACH * structure.level)


def _even(
    structure: Structure, shared: Sums, own: Sums, patterns: Patterns, standing: float
) -> tuple[FoundCause, Matrix | None] | None:
    """Return what is the same in all pixels: flicker; or in proportion to the amounts: a wrong reference."""
    k, one = patterns.references.shape[1], shared.products.shape[0] - 1
    chance, d = structure.level * structure.crowding, len(structure.turn)
    length = np.maximum(np.diag(shared.products)[[one, k]], 1e-300)
    flicker, amount = (shared.weighted[:, [one, k]] ** 2).sum(axis=0) / length
    power = max(flicker, amount)
    if power <= chance * d * (1 + SURE / np.sqrt(d / 2)):
        return None
    weight = one if flicker >= amount else k
    frames = shared.weighted[:, weight] / shared.products[weight, weight]
    pattern = structure.noise**2 * (structure.turn.T @ frames)
    unlike = max(1 - float(shared.products[one, k] ** 2 / length.prod()), 0.0)  # amounts and one
    by_chance = (own.products[k, k] / length[1] - 1) * np.sqrt(structure.crowding / structure.pairs)
    apart = power * unlike
    told = abs(flicker - amount) > max(BETTER * apart, TOLD * np.sqrt(4 * chance * apart))
    told &= unlike > max(LEAST_UNLIKE, TOLD * by_chance)
    smooth = is_smooth(structure, frames, patterns.energy)
    cause: Cause = "flicker" if weight == one else "missing reference"
    if not told:
        cause = "unclear" if smooth is None else "missing reference" if smooth else "flicker"
    elif cause == "missing reference" and smooth is False:
        cause = "unclear"
    here = np.zeros_like(shared.weighted)
    here[:, weight] = frames
    typical = (
        pattern if weight == one else pattern * float(shared.products[k, one] / shared.products[one, one])
    )
    size = float(np.sqrt(np.mean(typical**2)))
    share = power / max(standing, power)
    if not _in_each(structure, own, here, frames / np.linalg.norm(frames)):
        return None
    found = FoundCause(cause, size, typical, power, share, alike=True)
    return found, here if cause == "flicker" else None


def _displaced(structure: Structure, sampled: Sampled, k: int) -> FoundCause | None:
    """Return what follows the slopes of the image, if that is most of what single pixels have above noise.

    The slopes are those of the amounts of `k` references along each axis; the size is told by those of their sums.
    """
    values = np.linalg.eigvalsh(structure.own.left / structure.pairs)
    above = values[values > structure.limit_of_own] - structure.level
    if not above.size:
        return None
    slopes = sampled.slopes()
    d, (g, n) = len(structure.turn), slopes.shape
    by_slopes = (slopes @ np.concatenate([slopes, sampled.residuals]).T).astype(np.float64) * (
        structure.pairs / n
    )
    steep = Sums(structure.own.left, structure.turn @ by_slopes[:, g:].T, by_slopes[:, :g])
    if not g or np.linalg.cond(steep.products) > 1e6:
        return None
    noise = structure.level * structure.crowding * g
    sizes = np.linalg.solve(steep.products, steep.weighted.T).T
    power = float((sizes * steep.weighted).sum()) - noise * d
    if power <= SURE * noise * np.sqrt(2 * d / g):
        return None
    standing = structure.pairs * float(above.sum())
    share = power / max(standing, power)
    if share < STEEP:
        return None
    frames = structure.noise[:, None] ** 2 * (structure.turn.T @ sizes)
    typical = np.sqrt(np.einsum("eg,gh,eh->e", frames, steep.products / structure.pairs, frames))
    added = np.kron(np.eye(g // k), np.ones((k, 1)))
    moved = np.linalg.solve(added.T @ steep.products @ added, (steep.weighted @ added).T).T
    moved = structure.noise[:, None] ** 2 * (structure.turn.T @ moved)
    return FoundCause("alignment", float(np.sqrt((moved**2).sum(axis=1).mean())), typical, power, share)


def bias_of(found: FoundCause, patterns: Patterns, mean: Matrix, products: Matrix) -> tuple[Matrix, Matrix]:
    """Return by how much a cause moves the fractions of the mean mixture (K,), and of pixels as they differ, rms (K,).

    `products` (K, K) are the mean ones of the amounts, without noise.  What the fit makes of other causes than those with
    one unknown is not known: that is NaN.
    """
    k = mean.size
    if found.cause not in ("energy shift", "resolution", "thickness"):
        return np.full(k, np.nan), np.full(k, np.nan)
    before = mean - patterns.absorbed(found.pattern[:, None])[:, 0]
    whole = before.sum()
    bias: Matrix = mean - before / whole
    if found.parts is None:
        return bias, np.abs(bias)
    center = products.sum(axis=0) / products.sum()
    spread = products / products.sum() - np.outer(center, center)
    righted = np.eye(k) - patterns.absorbed(found.parts)
    steep = np.eye(k) - (righted - np.outer(before, righted.sum(axis=0)) / whole) / whole
    varied = np.einsum("ij,jk,ik->i", steep, spread, steep)
    return bias, np.sqrt(bias**2 + np.maximum(varied, 0))
