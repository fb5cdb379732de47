"""What the values of a stack are, told from the values: counts, transmission or optical density."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import not_measured
from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.stack import ArrayLike, Signal, pieces

MOST_VALUES = 50_000
"""Values looked at in a frame."""
PLANES = 8
"""Looked at in a volume."""
LEAST_COUNTS = 20.0
"""Neither transmission nor optical density of a usable scan reaches this."""
LEAST_GROWTH, SURE_GROWTH = 1.5, 2.0
"""By how much fluorescence grows at an edge: a beam does not become so much brighter in one scan."""
LEAST_OVERALL = 1.2
STAYS = (0.8, 1.4)
"""By how much what shows none of the element may change meanwhile."""
GROUPED, LEAST_GROUPS = 16, 100
"""Neighbouring pixels looked at together, as long as there are enough such groups."""
SURE_EDGE = 0.6
"""Part of the strongest changes over the scan that goes one way, from which on an edge is sure."""


@dataclass(frozen=True, eq=False)
class Glance:
    """A few frames of a stack, thinned out: early and late ones, as float64 (n, m)."""

    early: NDArray[np.float64]
    late: NDArray[np.float64]
    unmeasured: int = 0
    """Most pixels of one of the frames that hold a detector's mark for what it did not measure."""

    @property
    def values(self) -> NDArray[np.float64]:
        """All finite values."""
        both = np.concatenate([self.early.ravel(), self.late.ravel()])
        finite: NDArray[np.float64] = both[np.isfinite(both)]
        return finite


def glance(data: ArrayLike, name: str) -> Glance:
    """Look at some of the first and last frames.

    Raises
    ------
    DataFileError
        If no frame holds a finite number, or every number is the same.
    """
    n = data.shape[0]
    picks = sorted({0, 1, 2, n // 2, n - 3, n - 2, n - 1} & set(range(n)))
    marked = [0]
    frames = {i: _thinned(data, i, marked) for i in picks}
    if _is_empty(frames.values()):
        for i in range(n):
            frames[i] = _thinned(data, i, marked)
            if not _is_empty(frames.values()):
                break
        else:
            _refuse(name, list(frames.values()), n)
    order = [i for i in sorted(frames) if np.isfinite(frames[i]).any()]
    order = [i for i in order if frames[i].any()] or order  # a scan that was stopped is zeros from there on
    half = max(1, min(3, len(order) // 2))
    early, late = (np.stack([frames[i] for i in part]) for part in (order[:half], order[-half:]))
    return Glance(early, late, max(marked))


def _thinned(data: ArrayLike, index: int, marked: list[int]) -> NDArray[np.float64]:
    """Return values spread over a frame, of a volume over some of its planes if there is anything to see in them."""
    if data.ndim == 4 and data.shape[1] > 2 * PLANES * pieces(data)[1]:
        picks = np.linspace(0, data.shape[1] - 1, PLANES).round().astype(int).tolist()
        planes = np.stack([np.asarray(data[index, z]) for z in picks])
        if not_measured(planes) is None and not _is_empty([planes]):
            return _every(planes)
    values = np.asarray(data[index])
    gaps = not_measured(values)
    if gaps is not None:
        marked.append(int(gaps.sum()))
        values = np.where(gaps, np.nan, values)
    return _every(values)


def _every(values: NDArray[Any]) -> NDArray[np.float64]:
    step = max(1, values.size // MOST_VALUES)
    while gcd(step, values.shape[-1]) > 1:  # not the same columns in every row
        step += 1
    return values.ravel()[::step].astype(np.float64)


def _is_empty(frames: Iterable[NDArray[Any]]) -> bool:
    """Whether there is nothing to see: no finite value, or only one."""
    seen: set[float] = set()
    for frame in frames:
        finite = frame[np.isfinite(frame)]
        if finite.size:
            seen |= {float(finite.min()), float(finite.max())}
        if len(seen) > 1:
            return False
    return True


def _refuse(name: str, frames: list[NDArray[np.float64]], n: int) -> None:
    finite = np.concatenate(frames)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        raise DataFileError(f"{name} holds no valid number in any of its {n} frames; the scan is empty.")
    raise DataFileError(f"every value of {name} is {finite[0]:g}; there is nothing to be seen in it.")


def tell_signal(seen: Glance, *, integer: bool, volume: bool, beam: bool = False) -> tuple[Signal, str]:
    """Return what the values are, and a sentence of doubt if they might be something else; `beam`: flats are known.

    Counts are large.  Across an absorption edge, absorption rises and transmission falls; beside the sample,
    absorption is near 0 and transmission near 1.
    """
    values = seen.values
    low, median, high = (float(q) for q in np.quantile(values, (0.02, 0.5, 0.995)))
    if integer or high > LEAST_COUNTS:
        return ("counts", "") if beam or volume else _counts_or_fluorescence(seen)
    if volume or low < -0.02 or high > 1.6:
        return "optical_density", ""
    edge = _edge_sign(seen)
    near_one = [high > 0.8, median > 0.5]
    if abs(edge) > SURE_EDGE:
        signal: Signal = "transmission" if edge < 0 else "optical_density"
        sure = any(near_one) if edge < 0 else not all(near_one)
    else:
        votes = [*near_one, edge < 0]
        signal = "transmission" if sum(votes) >= 2 else "optical_density"
        sure = all(votes) or not any(votes)
    if sure:
        return signal, ""
    other = "optical_density" if signal == "transmission" else "transmission"
    return signal, (
        f"the values, {values.min():.3g} to {values.max():.3g}, were taken for {signal.replace('_', ' ')} but "
        f"might be {other.replace('_', ' ')}; if so, say signal='{other}'"
    )


def _counts_or_fluorescence(seen: Glance) -> tuple[Signal, str]:
    """Return whether large values are counts behind the sample, or fluorescence, which rises where the element is.

    A beam that becomes brighter does so everywhere; fluorescence rises by as much as there is of the element, over a
    background that stays.
    """
    usual, most = _growth(seen)
    if most < LEAST_GROWTH:
        return "counts", ""
    if most > SURE_GROWTH and STAYS[0] < usual < STAYS[1]:
        return "optical_density", (
            f"the values grow up to {most:.2g} times across the scan, unevenly over the image, as fluorescence does, which "
            "needs no flats and no -ln: they were taken for absorption (optical_density); if they are counts behind the "
            "sample, say signal='counts'"
        )
    return "counts", (
        f"the counts grow {most:.2g} times across the scan, as of fluorescence; if they are fluorescence, which needs no "
        "flats and no -ln, say signal='optical_density'"
    )


def _growth(seen: Glance) -> tuple[float, float]:
    """Return by how much values grow from before to after the edge, where they grow little and where they grow most."""
    early, late = (_in_groups(frames) for frames in (seen.early, seen.late))
    valid = np.isfinite(early) & np.isfinite(late) & (np.minimum(early, late) >= 0)
    if valid.sum() < 4:
        return 1.0, 1.0
    early, late = early[valid], late[valid]
    floor = max(1.0, 0.02 * float(late.max()))
    if (late + floor).sum() < LEAST_OVERALL * (early + floor).sum():
        return 1.0, 1.0
    usual, most = np.quantile((late + floor) / (early + floor), (0.1, 0.95))
    return float(usual), float(most)


def _in_groups(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means over frames and neighbouring pixels, which single counts need."""
    group = max(1, min(GROUPED, frames.shape[1] // LEAST_GROUPS))
    used = frames[:, : frames.shape[1] // group * group].reshape(len(frames), -1, group)
    known = np.isfinite(used).any(axis=(0, 2))
    mean = np.full(known.size, np.nan)
    mean[known] = np.nanmean(used[:, known], axis=(0, 2))
    return mean


def _edge_sign(seen: Glance) -> float:
    """Return whether the strongest changes from before to after the edge go up (to 1) or down (to -1)."""
    with np.errstate(invalid="ignore"):
        change = seen.late.mean(axis=0) - seen.early.mean(axis=0)
    change = change[np.isfinite(change)]
    strong = change[np.abs(change) >= np.quantile(np.abs(change), 0.9)] if change.size else change
    total = float(np.abs(strong).sum())
    return float(strong.sum()) / total if total > 0 else 0.0


def same_scale(images: NDArray[np.float64], flats: NDArray[np.float64]) -> bool:
    """Whether images and flats are of one kind: what passes the sample is a good part of the beam."""
    flats = flats[np.isfinite(flats)]
    if flats.size == 0 or images.size == 0:
        return False
    ratio = float(np.quantile(images, 0.99)) / max(float(np.median(flats)), 1e-30)
    return 0.2 < ratio < 5


def already_divided(images: NDArray[np.float64], flats: NDArray[np.float64]) -> bool:
    """Whether images are so much smaller than their flats that they were divided by them before."""
    flats = flats[np.isfinite(flats)]
    if flats.size == 0 or images.size == 0:
        return False
    typical = float(np.median(flats))
    return typical > 20 and float(np.quantile(images, 0.99)) < min(5.0, 0.1 * typical)
