"""Where the sample is in every frame: `Drift`, which can be kept, written and applied to another stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.door import check_fields
from napari_xanes._core.base.errors import DataFileError, InputError, XanesError
from napari_xanes._core.base.files import read_bytes, write_text
from napari_xanes._core.base.params import Roi

Method = Literal["correlation", "stackreg"]
Transform = Literal["translation", "rigid", "similarity", "affine"]
ReferenceFrame = int | Literal["previous", "mean"]
FloatMatrix = NDArray[np.float64]

SCHEMA = 1
"""Of the file that `Drift.save` writes."""


@dataclass(frozen=True, eq=False)
class Drift:
    """The displacement of every frame against the reference.

    Attributes
    ----------
    matrices : array (E, n + 1, n + 1)
        Homogeneous matrices in array axis order, (y, x, 1) or (z, y, x, 1), px: ``matrices[i] @ (y, x, 1)`` is
        where frame i shows what the reference shows at (y, x).  NaN for frames that could not be measured.
    confidence : array (E,)
        Correlation coefficient, 0 to 1, with what the frame was finally compared with, times the share of directions
        along which the stack tells the drift; 0 if nothing was measured and the frame is lost (NaN) or moved like
        those beside it.
    reference : int, "previous" or "mean"
        The frame that stays where it is, as an index; "previous": the first usable one; "mean": the mean
        of all shifts is 0.
    roi : tuple or None
        (y0, y1, x0, x1) that was looked at.
    method, transform : str
    sigma : array (E, n) or None
        Standard error of the displacement along each axis, px, against the reference; infinite along axes of which
        the frame tells nothing, NaN for frames that could not be measured.  None if it is not known.
    """

    matrices: FloatMatrix
    confidence: FloatMatrix
    reference: ReferenceFrame = -1
    roi: Roi | None = None
    method: Method = "correlation"
    transform: Transform = "translation"
    sigma: FloatMatrix | None = None

    def __post_init__(self) -> None:
        check_fields(self, "matrices", "confidence", "reference", "roi", "sigma")
        n, size = (*np.shape(self.matrices), 0, 0)[:2]
        if (
            np.shape(self.matrices) != (n, size, size)
            or size not in (3, 4)
            or np.shape(self.confidence) != (n,)
        ):
            raise InputError(
                f"matrices have shape {np.shape(self.matrices)} and the confidence {np.shape(self.confidence)}, expected "
                "(E, 3, 3) and (E,)."
            )

    @property
    def shifts(self) -> FloatMatrix:
        """Displacements (E, n) in px, (dy, dx) or (dz, dy, dx): frame i shows the sample moved by shifts[i]."""
        return self.matrices[:, :-1, -1]

    @property
    def is_translation(self) -> bool:
        """Whether frames only move, without turning or scaling."""
        linear = self.matrices[:, :-1, :-1] - np.eye(self.matrices.shape[1] - 1)
        return not np.nanmax(np.abs(linear), initial=0) > 0

    def excluding(self, indices: Sequence[int]) -> Drift:
        """Return a copy in which some frames are not known, so that they become invalid."""
        matrices, confidence = self.matrices.copy(), self.confidence.copy()
        matrices[list(indices)], confidence[list(indices)] = np.nan, 0.0
        sigma = self._sigma_but(list(indices), np.nan)
        return replace(self, matrices=matrices, confidence=confidence, sigma=sigma)

    def edited(self, index: int, shift: Sequence[float]) -> Drift:
        """Return a copy in which frame `index` is displaced by `shift` px, (dy, dx) or (dz, dy, dx), and that is sure."""
        matrices, confidence = self.matrices.copy(), self.confidence.copy()
        matrices[index] = np.eye(matrices.shape[1])
        matrices[index, :-1, -1], confidence[index] = shift, 1.0
        return replace(self, matrices=matrices, confidence=confidence, sigma=self._sigma_but(index, 0.0))

    def _sigma_but(self, indices: int | list[int], value: float) -> FloatMatrix | None:
        if self.sigma is None:
            return None
        sigma = self.sigma.copy()
        sigma[indices] = value
        return sigma

    def outliers(self, jump: float = 5.0) -> NDArray[np.intp]:
        """Return frames that lie `jump` times farther from the middle of their neighbours than frames do, and the unsure.

        Unsure are frames of low confidence, and those that tell nothing along an axis.
        """
        known = np.flatnonzero(np.isfinite(self.shifts).all(axis=1))
        untold = np.zeros(0, np.intp)
        if self.sigma is not None:
            untold = np.flatnonzero(np.isinf(self.sigma).any(axis=1))
        unsure = (
            known[
                (self.confidence[known] < 0.6 * np.median(self.confidence[known]))
                | (self.confidence[known] == 0)
            ]
            if known.size
            else known
        )
        unsure = np.union1d(unsure, untold)
        if known.size < 5:
            return unsure
        shifts = self.shifts[known]
        apart = np.zeros(known.size)
        apart[1:-1] = np.linalg.norm(shifts[1:-1] - (shifts[:-2] + shifts[2:]) / 2, axis=1)
        usual = max(float(np.median(apart[1:-1])), 0.05)
        peaks = apart > jump * usual
        peaks[1:-1] &= (apart[1:-1] >= apart[:-2]) & (
            apart[1:-1] >= apart[2:]
        )  # neighbours of a jump are not at fault
        return np.union1d(known[peaks], unsure)

    def save(self, path: str | Path) -> None:
        """Write the drift to a JSON file, at full precision, whole or not at all."""
        write_text(path, json.dumps({"napari_xanes_drift": SCHEMA, **self.to_dict()}, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Drift:
        """Read what `save` wrote.

        Raises
        ------
        DataFileError
            If the file is missing, is no drift, or was written by a newer version.
        """
        try:
            values = json.loads(read_bytes(path, "drift file"))
            schema = values["napari_xanes_drift"]
            if schema == SCHEMA:
                return cls.from_dict(values)
        except XanesError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise DataFileError(
                f"{path} is not a drift written by napari-xanes: {' '.join(repr(error).split())}; "
                "choose another file, or estimate the drift anew."
            ) from None
        raise DataFileError(
            f"{path} has schema {schema!r}, this version reads {SCHEMA}; install a version that matches."
        )

    @classmethod
    def from_shifts(cls, shifts: FloatMatrix, confidence: FloatMatrix | None = None, **more: Any) -> Drift:
        """Make a drift of translations (E, n); the confidence of shifts known otherwise is 1, of NaN 0."""
        shifts = np.asarray(shifts, dtype=np.float64)
        known = np.all(np.isfinite(shifts), axis=1)
        matrices = np.tile(np.eye(shifts.shape[1] + 1), (len(shifts), 1, 1))
        matrices[:, :-1, -1] = shifts
        matrices[~known] = np.nan
        return cls(matrices, known.astype(np.float64) if confidence is None else confidence, **more)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as json can write it, at full precision; frames without a matrix are null."""
        known = np.all(np.isfinite(self.matrices), axis=(1, 2))
        more = (
            {} if self.sigma is None else {"sigma": [[_word(v) for v in row] for row in self.sigma.tolist()]}
        )
        return {
            "method": self.method,
            "transform": self.transform,
            "reference": self.reference,
            "roi": None if self.roi is None else list(self.roi),
            "ndim": self.matrices.shape[1] - 1,
            "matrices": [m.tolist() if ok else None for m, ok in zip(self.matrices, known, strict=True)],
            "confidence": self.confidence.tolist(),
            **more,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Drift:
        """Make again what `to_dict` gave."""
        if values["ndim"] not in (2, 3):
            raise InputError(f"the drift has {values['ndim']!r} directions, expected 2 or 3.")
        size = values["ndim"] + 1
        lost = np.full((size, size), np.nan)
        matrices = np.array([lost if m is None else m for m in values["matrices"]], dtype=np.float64)
        if matrices.shape != (len(values["confidence"]), size, size):
            raise InputError(
                f"the drift has matrices of shape {matrices.shape} and {len(values['confidence'])} confidences, "
                f"expected a matrix ({size}, {size}) for each."
            )
        roi = None if values["roi"] is None else tuple(values["roi"])
        return cls(
            matrices,
            np.array(values["confidence"], dtype=np.float64),
            values["reference"],
            roi,
            values["method"],
            values["transform"],
            np.array(values["sigma"], dtype=np.float64) if "sigma" in values else None,
        )


def _word(number: float) -> float | str | None:
    """Return a number as every reader of JSON knows it: NaN as null, infinity as a word."""
    return number if np.isfinite(number) else None if np.isnan(number) else "inf"
