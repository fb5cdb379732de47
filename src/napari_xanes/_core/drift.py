"""Where the sample is in every frame: `Drift`, which can be kept, written and applied to another stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["correlation"]
Transform = Literal["translation"]
Reference = int | Literal["previous", "mean"]
Roi = tuple[int, int, int, int]
FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drift:
    """The displacement of every frame against the reference.

    Attributes
    ----------
    matrices : array (E, n + 1, n + 1)
        Homogeneous matrices in array axis order, (y, x, 1) or (z, y, x, 1), px: ``matrices[i] @ (y, x, 1)`` is
        where frame i shows what the reference shows at (y, x).  NaN for frames that could not be measured.
    confidence : array (E,)
        Correlation coefficient, 0 to 1, with what the frame was finally compared with; 0 if nothing was measured and
        the frame is lost (NaN) or moved like those beside it.
    reference : int, "previous" or "mean"
        The frame that stays where it is, as an index; "previous": the first usable one; "mean": the mean
        of all shifts is 0.
    roi : tuple or None
        (y0, y1, x0, x1) that was looked at.
    method, transform : str
    """

    matrices: FloatMatrix
    confidence: FloatMatrix
    reference: Reference = -1
    roi: Roi | None = None
    method: Method = "correlation"
    transform: Transform = "translation"

    @property
    def shifts(self) -> FloatMatrix:
        """Displacements (E, n) in px, (dy, dx) or (dz, dy, dx): frame i shows the sample moved by shifts[i]."""
        return self.matrices[:, :-1, -1]

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
        return {
            "method": self.method,
            "transform": self.transform,
            "reference": self.reference,
            "roi": None if self.roi is None else list(self.roi),
            "ndim": self.matrices.shape[1] - 1,
            "matrices": [m.tolist() if ok else None for m, ok in zip(self.matrices, known, strict=True)],
            "confidence": self.confidence.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Drift:
        """Make again what `to_dict` gave."""
        lost = np.full((values["ndim"] + 1,) * 2, np.nan)
        matrices = np.array([lost if m is None else m for m in values["matrices"]], dtype=np.float64)
        roi = None if values["roi"] is None else tuple(values["roi"])
        return cls(
            matrices,
            np.array(values["confidence"], dtype=np.float64),
            values["reference"],
            roi,
            values["method"],
            values["transform"],
        )
