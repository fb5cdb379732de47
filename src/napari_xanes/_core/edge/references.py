"""References normalised exactly as the data were, so that a fit compares like with like.

A difference in edge energy, windows or variant between data and references is taken up by the fractions; nothing
in the fit shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import SHOWN, check_energy, in_window
from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.params import (
    EdgeNormalization,
    NormalizeParams,
    ResolvedNormalizeParams,
    check_choices,
    implied_divisor,
    least_energies,
)


@public
def normalize_references(
    references: Sequence[Reference],
    normalization: NormalizeParams | EdgeNormalization,
    *,
    energy: ArrayLike | None = None,
) -> list[Reference]:
    """Normalise references as the data were: the same edge energy, windows and variant.

    Parameters
    ----------
    references : list of Reference
        Measured at energies of their own; not changed.  Normalised ones may be given, too.
    normalization : EdgeNormalization or NormalizeParams
        What `normalize_edge` returned for the data, or the parameters of a step as resolved.
    energy : array (E,), optional
        The data's energies in eV.  References are interpolated to those that they cover first, so that curves are
        fitted to the same points as in the data; which matters where curves do not follow spectra closely and the
        points are spaced differently.

    Returns
    -------
    list of Reference
        At the references' own energies or at those given, what was done to each being added to its notes.

    Raises
    ------
    InputError
        If a reference has too few energies in a window, does not cover the area's energies, or shows no edge step.

    Notes
    -----
    Windows end where the reference ends.  ``slope="shared"`` makes no difference to a reference, which shares its
    slopes with itself, and a gate is not applied.  Energies outside the windows where the divisor is not
    positive, as where a post-edge line is extrapolated far, are left out.
    """
    if isinstance(references, Reference) or not all(isinstance(r, Reference) for r in references):
        raise InputError("references are a list of Reference, as read_references returns it.")
    params = normalization.params if isinstance(normalization, EdgeNormalization) else normalization
    if not isinstance(params, NormalizeParams):
        raise InputError(
            f"normalization is {type(params).__name__}, expected what normalize_edge returned or NormalizeParams."
        )
    if params.e0 is None or params.pre_edge is None or params.post_edge is None:
        raise InputError(
            "e0, pre_edge and post_edge must be those that the data were normalised with; "
            "give what normalize_edge returned, or all three."
        )
    check_choices(params)
    area = params.area_range
    if implied_divisor(params) == "area" and area is None:
        area = (params.pre_edge[1], params.post_edge[1])
    alone = ResolvedNormalizeParams.of(params, area_range=area, slope="pixel", gate=None, uncertainty=False)
    points = None if energy is None else check_energy(energy, label="the data")
    return [_normalized(_at(reference, points), alone) for reference in references]


def _at(reference: Reference, energy: NDArray[np.float64] | None) -> Reference:
    """Return the reference at those of the energies that it covers."""
    if energy is None:
        return reference
    first, last = reference.energy[0], reference.energy[-1]
    covered = energy[in_window(energy, (first, last))]
    if covered.size < 2:
        raise InputError(
            f"reference '{reference.name}' covers {first:.2f} to {last:.2f} eV, the data {energy[0]:.2f} to "
            f"{energy[-1]:.2f} eV; choose a reference of the same edge, in eV."
        )
    return replace(reference, energy=covered, mu=interpolate_reference(reference, covered))


def _normalized(reference: Reference, params: ResolvedNormalizeParams) -> Reference:
    name, mu = reference.name, reference.mu
    params = _clipped(reference, params)
    kernel = _kernel(reference.energy, params)
    with np.errstate(invalid="ignore"):
        keep = _around(kernel.divisor_of(mu) > 0, kernel)
    if keep is None:
        raise InputError(
            f"reference '{name}' shows no edge step at {params.e0:g} eV, so it cannot be normalised as the data are; "
            "is it of the same edge, absorption rather than transmission, and in eV?"
        )
    energy = reference.energy[keep]
    spectrum = mu[keep, None].copy()  # the kernel writes into it
    out = {what: np.empty((*lead, 1)) for what, lead in kernel.maps.items()}
    _kernel(energy, params)(spectrum, out)
    return replace(
        reference,
        energy=energy,
        mu=spectrum[:, 0],
        notes=(*reference.notes, *_notes(params, mu.size, energy.size)),
    )


def _kernel(energy: NDArray[np.float64], params: ResolvedNormalizeParams) -> NormalizeKernel:
    return NormalizeKernel(params, energy, np.ones(energy.size, np.bool_), np.empty((energy.size, 0)))


def _clipped(reference: Reference, params: ResolvedNormalizeParams) -> ResolvedNormalizeParams:
    """End the windows where the reference ends, and say where that leaves too little."""
    energy, (first, last) = reference.energy, (float(reference.energy[0]), float(reference.energy[-1]))
    clipped: dict[str, Window] = {}
    for key, window, least in zip(
        ("pre_edge", "post_edge"), (params.pre_edge, params.post_edge), least_energies(params), strict=True
    ):
        inside = int(in_window(energy, window).sum())
        if inside < least:
            raise InputError(
                f"reference '{reference.name}' covers {first:.2f} to {last:.2f} eV and has {inside} energies in the data's "
                f"{key} ({window[0]:g}, {window[1]:g}) eV, at least {least} are needed; leave it out, or normalise the "
                "data with a window that it covers."
            )
        if window[0] < first or window[1] > last:
            lo, hi = max(window[0], first), min(window[1], last)
            clipped[key] = (lo, hi) if lo < hi else window
    if params.area_range and not (
        first <= params.area_range[0] + SHOWN and params.area_range[1] <= last + SHOWN
    ):
        lo, hi = params.area_range
        raise InputError(
            f"reference '{reference.name}' covers {first:.2f} to {last:.2f} eV, not the whole area_range ({lo:g}, {hi:g}) eV, "
            "so its area cannot be compared with the data's; choose a narrower area_range."
        )
    return params.model_copy(update=clipped)


def _around(positive: NDArray[np.bool_], kernel: NormalizeKernel) -> slice | None:
    """Return the energies about both windows where the divisor is positive, or None if it is not in between."""
    first, last = int(kernel.pre[0]), int(kernel.post[-1])
    if not positive[first : last + 1].all():
        return None
    below, above = np.flatnonzero(~positive[:first]), np.flatnonzero(~positive[last:])
    return slice(
        int(below[-1]) + 1 if below.size else 0, last + int(above[0]) if above.size else positive.size
    )


def _notes(params: ResolvedNormalizeParams, n_before: int, n_after: int) -> tuple[str, ...]:
    (a, b), (c, d) = params.pre_edge, params.post_edge
    done = (
        f"normalised as the data: e0 {params.e0:g} eV, pre-edge {params.pre} {a:g} to {b:g} eV, post-edge order "
        f"{params.post_order} {c:g} to {d:g} eV, divided by {params.divide_by}{', flattened' if params.flatten else ''}"
    )
    left = f"{n_before - n_after} of {n_before} energies, where the divisor is not positive, were left out"
    return (done, left) if n_after < n_before else (done,)
