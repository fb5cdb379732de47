"""How far one image is displaced against another: Fourier cross-correlation that weighs what the two share.

Between two energies the contrast of a sample changes, noise differs, and dirt on the detector stays put; so
neither plain nor phase-only correlation is trustworthy.  Two stages avoid their faults.  A coarse one, on
low frequencies of the whole frames, finds the whole pixels.  A fine one compares only the region that both
frames show, so nothing wraps round and no window holds the image back, and weighs every ring of spatial
frequency by the coherence that the two images have in it, as the maximum-likelihood estimator of a delay
does (Knapp and Carter 1976, doi:10.1109/TASSP.1976.1162830).  The maximum is found by Newton steps on the
continuous correlation, so there is no grid of fractions.

Everything is n-dimensional: images and volumes take the same road.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.frequencies import Frequencies, Spectrum, Vector
from napari_xanes._core.align.move import moved_rows, valid_span
from napari_xanes._core.align.overlap import OverlapMatcher, Target
from napari_xanes._core.data.stack import Float32

CUTOFF = 0.5  # cycles per pixel beyond which nothing is used
# From the first to the second binned frames count less and less: finer detail has come back as coarse there.
_FADED = (0.35, 0.45)
_CLOSE = 0.75  # px; a remainder below this needs no new cut of the common region
_GOOD = 0.9  # confidence from which on no other displacement is tried
_CANDIDATES = 4
# The first is in px, the second a part of the shortest side; a remainder below both is no longer bent by the window.
_SETTLED = (0.05, 0.001)
# px; what a Newton step leaves goes with its square, so after one this small nothing is left to gain.
_CLIMBED = 0.02
_TINY = 1e-30


class Matcher(Frequencies):
    """Compares frames of one shape; can be shared by threads.

    Parameters
    ----------
    shape : sequence of int
    binned : bool
        Whether the frames hold what was finer than their pixels.
    """

    def __init__(self, shape: Sequence[int], *, binned: bool = False) -> None:
        super().__init__(shape)
        waves = [(2j * np.pi * f).astype(np.complex64)[:, None] for f in reversed(self.frequencies)]
        self._waves = [
            (wave, wave ** np.arange(3)) for wave in waves
        ]  # of the axes, last first: orders 0 to 2
        self._last_first = (len(waves) - 1, *range(len(waves) - 1))
        unit = np.eye(len(waves), dtype=np.intp)  # which orders of derivation make gradient and Hessian
        self._gradient = tuple(unit)
        self._hessian = tuple(unit[:, :, None] + unit[:, None, :])
        self.fine = self._low_pass(CUTOFF)
        self._inside = (self.radius < CUTOFF) * self.count
        if binned:
            start, end = _FADED
            faded = np.clip((self.radius - start) / (end - start), 0, 1)
            self._inside *= np.cos(np.pi / 2 * faded) ** 2
        self._overlap = OverlapMatcher(self.shape)
        self._settled = min(_SETTLED[0], _SETTLED[1] * min(self.shape))
        # below this coherence a ring holds nothing but noise; the window correlates neighbouring frequencies
        self._floor = 3 / np.sqrt(self.ring_count / 2)

    def _low_pass(self, cutoff: float) -> Float32:
        low = np.cos(np.pi / 2 * np.minimum(self.radius / cutoff, 1)) ** 2 * self.count
        low[(0,) * low.ndim] = 0
        return np.asarray(low, dtype=np.float32)

    def prepare(self, fixed: Float32) -> Target:
        """Return what `match` needs of the frame that others are compared with."""
        return self._overlap.prepare(fixed, fixed=True)

    def match(self, moving: Float32, fixed: Float32, target: Target) -> tuple[Vector, float]:
        """Return displacement and confidence of `moving` against `fixed`, prepared as `target`, from nothing.

        Other maxima of the coarse correlation are tried if the highest does not make a good match.
        """
        best = (np.full(len(self.shape), np.nan), 0.0)
        for start in self._overlap.candidates(moving, target, _CANDIDATES):
            found = self.refine(moving, fixed, start)
            best = max(best, found, key=lambda match: match[1])
            if best[1] > _GOOD:
                break
        return best

    def refine(self, moving: Float32, fixed: Float32, start: Vector) -> tuple[Vector, float]:
        """Return the displacement to a fraction of a pixel from one near it, and the confidence.

        The confidence is the correlation coefficient, from 0 to 1, of the region that both show.  Where the
        two share no structure the displacement is NaN and the confidence 0.
        """
        shift = start
        for _ in range(3):
            whole = np.round(shift).astype(int)
            if self._is_out(whole):
                break
            a, b = (self.spectrum(part) for part in self._common_region(moving, fixed, whole))
            shift = whole + self._climb(self._whitened(a, b), shift - whole)
            if np.all(np.abs(shift - whole) < _CLOSE):
                rest, confidence = self._remainder(a, b, shift - whole)
                return whole + rest, confidence
        return np.full(len(self.shape), np.nan), 0.0

    def polish(
        self, moving: Float32, fixed: Float32, start: Vector, back: Float32 | None = None
    ) -> tuple[Vector, float]:
        """Return displacement and confidence as `refine` does, closer.

        The frame is moved back by what is known, so the fraction left is about 0 and the window, which stays
        in place, can no longer pull at it.  `back` is the frame moved back by `start`, if that is there already.
        """
        shift, confidence = start, 0.0
        for _ in range(4):
            if self._is_out(shift):
                return np.full(len(shift), np.nan), 0.0
            back = self.moved_back(moving, shift) if back is None else back
            common = self.in_view(shift)
            if any(side.start == side.stop for side in common):  # of two planes, no third lies between
                return np.full(len(shift), np.nan), 0.0
            rest, confidence = self._remainder(
                self.spectrum(back[common]), self.spectrum(fixed[common]), np.zeros(len(shift))
            )
            shift, back = shift + rest, None
            if np.all(np.abs(rest) < self._settled):
                break
        return shift, confidence if np.all(np.isfinite(shift)) else 0.0

    def _is_out(self, shift: Vector | NDArray[np.intp]) -> bool:
        """Whether a frame that is displaced so far shares too little with the others; or nobody knows how far."""
        return not all(abs(s) <= 0.75 * n for s, n in zip(shift, self.shape, strict=True))

    def moved_back(self, frame: Float32, shift: Vector) -> Float32:
        """Return a frame as if it were not displaced; NaN outside `in_view`."""
        return moved_rows(lambda rows: frame[rows], self.shape, shift.tolist())

    def in_view(self, shift: Vector) -> tuple[slice, ...]:
        """Return the region that a frame still covers when it is moved back, empty if it lies farther off than it is long."""
        spans = [valid_span(n, np.array([s])) for n, s in zip(self.shape, shift, strict=True)]
        return tuple(slice(lo, max(lo, hi)) for lo, hi in spans)

    def _common_region(
        self, moving: Float32, fixed: Float32, whole: NDArray[np.intp]
    ) -> tuple[Float32, Float32]:
        pairs = list(zip(whole, self.shape, strict=True))
        in_moving = tuple(slice(max(w, 0), n + min(w, 0)) for w, n in pairs)
        in_fixed = tuple(slice(max(-w, 0), n - max(w, 0)) for w, n in pairs)
        return moving[in_moving], fixed[in_fixed]

    def _whitened(self, a: Spectrum, b: Spectrum) -> Spectrum:
        """Return the cross spectrum over the root of its size, fine detail held back: the way to a first answer."""
        work = self.work.like(a)
        cross = _cross(a, b, work.cross)
        size = np.abs(cross, out=work.size)
        size += _TINY
        np.divide(self.fine, np.sqrt(size, out=size), out=size)
        cross *= size
        return cross

    def _remainder(self, a: Spectrum, b: Spectrum, start: Vector) -> tuple[Vector, float]:
        """Return displacement and confidence from spectra and a displacement that is good to 0.1 px or so."""
        cross, confidence = self._weighed(a, b, start)
        return (np.full(len(start), np.nan) if cross is None else self._climb(cross, start)), confidence

    def _weighed(self, a: Spectrum, b: Spectrum, start: Vector) -> tuple[Spectrum | None, float]:
        """Return the cross spectrum as it is looked for its maximum, None if nothing is shared; and the confidence."""
        work = self.work.like(a)
        cross = _cross(a, b, work.cross)
        size, square = np.abs(a, out=work.size), np.abs(b, out=work.square)
        amplitude = np.multiply(size, square, out=work.amplitude)  # of the cross spectrum
        size *= size
        square *= square
        power_a, power_b = self.ring_sum(size), self.ring_sum(square)
        both = np.sqrt(power_a * power_b)
        if start.any():
            np.multiply(cross, self.phases(start), out=work.turned)
            shared = self.ring_sum(work.turned.real)
        else:
            shared = self.ring_sum(cross.real)
        weight = self._ring_weights(shared, both)
        if not weight.any():
            return None, 0.0
        weights = np.take(weight.astype(np.float32), self.ring, out=work.size, mode="clip")
        weights *= self._inside
        amplitude += _TINY
        weights /= np.sqrt(amplitude, out=amplitude)
        low = np.cos(np.pi / 2 * np.minimum(self.ring_radius / 0.25, 1)) ** 2
        low[0] = 0
        total = np.sqrt((low * power_a).sum() * (low * power_b).sum())
        confidence = float(np.clip((low * shared).sum() / max(total, _TINY), 0, 1))
        cross *= weights
        return cross, confidence

    def bend_and_scatter(self, moving: Spectrum, fixed: Spectrum) -> tuple[Vector, Vector] | None:
        """Return, of frames that lie on each other, how the correlation bends (n, n), and how its slope scatters (n, n).

        The latter is the sum of squares of what each frequency adds to the slope, which is their variance, as all
        have been weighed to add nothing in sum.
        """
        none = np.zeros(len(self.shape))
        cross, _ = self._weighed(moving, fixed, none)
        if cross is None:
            return None
        bend = -self._moments(cross, none)[self._hessian]
        squares = 2 * np.square(cross.imag) / self.count  # each and its mirror image are one
        return bend, -self._moments(squares.astype(np.complex64), none)[self._hessian]

    def _ring_weights(self, shared: Vector, both: Vector) -> Vector:
        """Return coherence / (1 - coherence^2) over the root of the mean amplitude, 0 where it is noise."""
        coherence = np.clip(shared / np.maximum(both, _TINY), 0, 0.995)
        coherence[coherence < self._floor] = 0
        return np.asarray(
            coherence / (1 - coherence**2) / np.sqrt(np.maximum(both / self.ring_count, _TINY)),
            dtype=np.float64,
        )

    def _climb(self, cross: Spectrum, shift: Vector) -> Vector:
        """Newton steps to the maximum over s of the sum of Re cross(f) exp(2 pi i f.s)."""
        for _ in range(5):
            table = self._moments(cross, shift)
            step = _newton_step(table[self._gradient], table[self._hessian])
            shift = shift + step
            if np.abs(step).max() < _CLIMBED:
                break
        return shift

    def _moments(self, cross: Spectrum, shift: Vector) -> Vector:
        """Return derivatives of the correlation at `shift`: order 0 to 2 along every axis, in one product."""
        table: NDArray[Any] = cross
        for (wave, powers), s in zip(self._waves, shift[::-1], strict=True):
            # sums out the last image axis; its orders of derivation go before what is there already
            table = (table @ (powers * np.exp(wave * np.complex64(s)))).transpose(self._last_first)
        return np.asarray(table.real, dtype=np.float64)


def _cross(a: Spectrum, b: Spectrum, out: Spectrum) -> Spectrum:
    """Return a times the conjugate of b."""
    np.conjugate(b, out=out)
    out *= a
    return out


def _newton_step(gradient: Vector, hessian: Vector) -> Vector:
    """Return the step to the maximum, at most one pixel an axis; uphill where the surface is not a hilltop."""
    if len(gradient) == 2:  # written out, as there are many of them
        (a, b), (_, c) = hessian.tolist()
        u, v = gradient.tolist()
        determinant = a * c - b * b
        if a < 0 and determinant > 1e-6 * a * a:
            steps = (b * v - c * u) / determinant, (b * u - a * v) / determinant
            return np.array([min(max(step, -1.0), 1.0) for step in steps])
    curvature, directions = np.linalg.eigh(hessian)
    bend = np.maximum(np.abs(curvature), 1e-6 * max(float(np.abs(curvature).max()), _TINY))
    return np.asarray(np.clip(directions @ ((directions.T @ gradient) / bend), -1, 1), dtype=np.float64)
