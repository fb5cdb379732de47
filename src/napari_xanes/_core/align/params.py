"""What can be chosen in the alignment."""

from __future__ import annotations

from typing import Literal

from napari_xanes._core.align.move import Interpolation
from napari_xanes._core.align.view import On
from napari_xanes._core.base.params import Params, Roi, field
from napari_xanes._core.data.drift import Method, Transform

LEAST = 0.1
"""Pixels; what changes at the edge, compound by compound, makes frames look displaced by as much though they lie still."""


class AlignParams(Params):
    """How drift is measured and taken back."""

    method: Method = field(
        "correlation",
        "Method",
        "How frames are compared: 'correlation' is fast and not misled by changing contrast; 'stackreg' also finds turns "
        "and changes of scale.",
    )
    transform: Transform = field(
        "translation",
        "Transform",
        "What the sample may do between frames: 'translation' moves, 'rigid' turns as well, 'similarity' also changes "
        "scale, 'affine' also shears. All but the first need the method stackreg.",
        rare=True,
    )
    reference: int | Literal["previous", "mean"] = field(
        -1,
        "Reference",
        "The frame that stays where it is, counted from 0, or from the end if negative. 'mean' puts every frame "
        "at the mean position; 'previous' compares each frame with the one before it and adds up, for samples "
        "that change a lot, but its errors add up too.",
    )
    roi: Roi | None = field(
        None,
        "Region",
        "Rows and columns (y0, y1, x0, x1) to look at when measuring drift, with structure that is seen at all "
        "energies. Empty: the whole frame.",
        unit="px",
        widget="roi",
        example=[100, 400, 150, 500],
    )
    on: On = field(
        "values",
        "Compare",
        "The images, or their gradients, which show outlines only and are less sensitive to changes of contrast.",
        rare=True,
    )
    mask: str | None = field(
        None,
        "Mask",
        "Image file that is not zero where the reference shows what is to stay in place. Empty: none.",
        widget="file",
        example="mask.tif",
        rare=True,
    )
    magnification: bool = field(
        False,
        "Magnification changes",
        "The scale changes linearly with energy, as with zone plates; it is fitted for all frames together.",
        rare=True,
    )
    least: float = field(
        LEAST,
        "Smallest drift",
        "Frames that lie on one another within so much are left as they are: compounds that differ at the edge make them look "
        "displaced by as much though they lie still. 0 takes back any drift.",
        unit="px",
        ge=0,
        rare=True,
    )
    interpolation: Interpolation = field(
        "lanczos",
        "Interpolation",
        "How values between pixels are found: lanczos keeps fine detail, cubic and linear are smoother.",
    )
    drift: str | None = field(
        None,
        "Known drift",
        "File with a drift that was saved; it is applied instead of measuring. Empty: measure.",
        widget="file",
        example="drift.json",
        rare=True,
    )
    exclude: tuple[int, ...] = field(
        (),
        "Exclude",
        "Frames, counted from 0, that become invalid, because their drift is doubtful.",
        example=[7],
        rare=True,
    )
    matrices: tuple[tuple[float, ...], ...] = field(
        (),
        "Matrices",
        "A known drift: of each frame the numbers of its matrix, row by row but for the last; none of a lost frame.",
        widget="hidden",
        example=[[1.0, 0.0, 0.3, 0.0, 1.0, -0.2]],
    )
