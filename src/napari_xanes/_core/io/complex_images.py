"""Complex images, as ptychography gives them: what is taken of them is never chosen without being said.

The amplitude |O| of a transmission function is the root of the transmission, so -2 ln|O| is optical density (Thibault et
al. 2008, doi:10.1126/science.1158573); its phase is in radians, as stored, not unwrapped.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import ArrayLike, rows_are_cheap
from napari_xanes._core.io.opened import Opened

ComplexAs = Literal["optical_density", "phase"]
SAID = {
    "optical_density": "the images are complex: -2 ln of their amplitude is shown, which is optical density",
    "phase": "the images are complex: their phase in radians is shown, not unwrapped, which is no absorption",
}


class RealPart(LazyArray):
    """Optical density or phase of complex images, as float32, or float64 of numbers twice as long."""

    def __init__(self, source: ArrayLike, how: ComplexAs) -> None:
        real = np.float32 if np.dtype(source.dtype).itemsize <= 8 else np.float64
        super().__init__(source.shape, real, cheap_rows=rows_are_cheap(source))
        self.source, self.how = source, how

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame; NaN where the amplitude is 0."""
        values = np.asarray(self.source[index, rows])
        if self.how == "phase":
            phase: AnyArray = np.angle(values).astype(self.dtype)
            return phase
        with np.errstate(divide="ignore", invalid="ignore"):
            density = -2 * np.log(np.abs(values))
        return np.where(np.isfinite(density), density, np.nan).astype(self.dtype)


def make_real(opened: Opened, how: str | None) -> None:
    """Replace complex images by what is asked of them, and say so; leave others as they are.

    Raises
    ------
    InputError
        If images are complex and it was not said what is to be taken of them, or they are not and it was.
    """
    is_complex = np.dtype(opened.data.dtype).kind == "c"
    if how is None and not is_complex:
        return
    if how is not None and how not in get_args(ComplexAs):
        raise InputError(f"complex_as is {how!r}, expected 'optical_density' or 'phase'.")
    if not is_complex:
        raise InputError(
            f"complex_as is '{how}', but the images of {opened.name} are real numbers; leave it empty."
        )
    if how is None:
        raise InputError(
            f"the images of {opened.name} are complex, as of ptychography; say what is to be taken of them: "
            "complex_as='optical_density' for -2 ln of the amplitude, or complex_as='phase' for the phase in radians."
        )
    opened.data = RealPart(opened.data, "phase" if how == "phase" else "optical_density")
    opened.signal = "optical_density"
    opened.warnings.append(SAID[how])
