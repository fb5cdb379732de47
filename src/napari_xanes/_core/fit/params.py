"""What can be chosen where references are fitted."""

from __future__ import annotations

from typing import Literal

from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.fit.shifts import LARGEST_SHIFT
from napari_xanes._core.fit.weights import Weights
from napari_xanes._core.solve.admm import Solver
from napari_xanes._core.solve.design import Constraint

Extrapolate = Literal["hold"]
ReferencesAs = Literal["given", "data"]


class LibraryParams(Params):
    """Which references are fitted, how, and at which energies: what all fits have in common."""

    references: tuple[str, ...] = field(
        ...,
        "References",
        "Files with spectra of known compounds; a file may hold several.",
        widget="references",
        min_length=1,
        example=["reference1.txt", "reference2.txt"],
    )
    names: tuple[str, ...] = field(
        (),
        "Which spectra",
        "Names of the spectra to use, where files hold more. Empty: all.",
        widget="spectra",
        example=["NiO"],
    )
    constraint: Constraint = field(
        "none",
        "Constraint",
        "'none' is plain least squares; 'nonnegative' allows no negative amount; 'sum_to_one' takes the step of normalised "
        "data for exact, which noise spoils; 'nonnegative_sum_to_one' is both.",
    )
    background: tuple[int, ...] = field(
        (),
        "Background",
        "Orders of a polynomial fitted along: [0, 1] is a line, needed when optical density is fitted directly. A line also takes "
        "up the noise of the pre-edge line of normalised spectra, which makes fractions more exact where the pre-edge "
        "is short; leave it out where only a narrow range is fitted.",
        widget="background",
        max_length=6,
        example=[0, 1],
    )
    energy_range: Window | None = field(
        None,
        "Energy range",
        "Energies that are fitted. Empty: all of the scan.",
        unit="eV",
        widget="window",
        example=[8325.0, 8370.0],
    )
    exclude: tuple[Window, ...] = field(
        (),
        "Leave out",
        "Windows of energies that are not fitted, such as a glitch of the beam.",
        unit="eV",
        widget="windows",
        example=[[8340.0, 8342.0]],
        rare=True,
    )
    extrapolate: Extrapolate | None = field(
        None,
        "Beyond the references",
        "'hold' keeps a reference's end values where the scan goes further. Empty: only energies that all cover are fitted.",
        example="hold",
        rare=True,
    )
    references_as: ReferencesAs = field(
        "given",
        "References are",
        "'given' takes references as they are in their files; 'data' normalises them exactly as the data were.",
        rare=True,
    )


class FitParams(LibraryParams):
    """Parameters of the linear-combination fit."""

    significance: float | None = field(
        None,
        "Min. significance",
        "In sigma: fractions are invalid where there is less of the element than this many times its uncertainty, as far as "
        "that is known. Empty: only where there is none; the window and the template start from 3.",
        ge=0,
        example=3.0,
    )
    uncertainty: bool = field(
        False,
        "Errors of amounts",
        "Also map the standard error of each amount; of normalised data if these were normalised with uncertainty, too.",
        rare=True,
    )
    solver: Solver = field(
        "direct",
        "Solver",
        "'direct' is exact and fast; 'admm' iterates to the same, and takes more than eight references.",
        rare=True,
    )
    weights: Weights = field(
        "none",
        "Weights",
        "'counts' lets energies count by the photons that the mean spectrum leaves of the beam; needs optical density.",
        rare=True,
    )
    shift_references: bool = field(
        False,
        "Shift references",
        "Fit an energy shift of each reference to the mean spectrum first, and use it for all pixels.",
        rare=True,
    )
    shift_limit: float = field(
        LARGEST_SHIFT,
        "Largest shift",
        "How far a reference may be shifted when shifts are fitted.",
        unit="eV",
        gt=0,
        rare=True,
    )
    reference_shifts: tuple[float, ...] = field(
        (),
        "Shifts",
        "By how much each reference is moved up in energy, in the order of the names. Empty: not at all.",
        unit="eV",
        example=[0.0, 0.3],
        rare=True,
    )
