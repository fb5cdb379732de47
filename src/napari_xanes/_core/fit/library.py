"""What goes into a fit: references as they are to be used, the energies that are fitted, and doubts about both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import inside_of
from napari_xanes._core.base.checks import check_window, in_window, window_indices
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import Grave
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.data.stack import EnergyStack, Signal
from napari_xanes._core.edge.params import EdgeNormalization
from napari_xanes._core.engine.pooled import learned_from
from napari_xanes._core.engine.sampling import sampled_pixels, sampled_spectra
from napari_xanes._core.fit.other_edge import FOREIGN, covered, foreign, of_another_edge
from napari_xanes._core.fit.params import Extrapolate, LibraryParams
from napari_xanes._core.fit.shifts import shifted_reference
from napari_xanes._core.io.references import read_references
from napari_xanes._core.solve.admm import MOST_ITERATIONS
from napari_xanes._core.solve.design import Design, FloatArray, design

ILL_CONDITIONED = 1000.0
"""Condition number from which a fit is said to be doubtful."""

HALF, NOTICED = 0.5, 0.02
"""Part of a reference's maximum above which its height is compared; change of it from which on that is said."""

NAMED = 3
"""References that are all named in a sentence, of more only their number."""

COARSE = 5.0
"""Distance between two points of a reference, in spacings of the data, from which it is said to have a hole."""


def choose_references(params: LibraryParams) -> list[Reference]:
    """Read the reference files and keep the spectra that are named, in the order of the names."""
    found = read_references(*params.references)
    if params.names:
        missing = [name for name in params.names if name not in {r.name for r in found}]
        if missing:
            raise InputError(
                f"there is no reference '{missing[0]}' in {', '.join(params.references)}; "
                f"these are: {', '.join(r.name for r in found)}."
            )
        found = [next(r for r in found if r.name == name) for name in params.names]
    names = [r.name for r in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two references are named '{twice[0]}'; rename a file or choose one by names.")
    return found


def check_library(stack: EnergyStack, signal: Signal, params: LibraryParams) -> None:
    """Refuse references of another edge, before any work is done.

    Which energies are fitted is not known yet, as steps may leave some out.
    """
    energy = stack.energy
    for one in choose_references(params):
        known = covered(one, energy)
        if known.sum() < 2 or (known.mean() < FOREIGN and of_another_edge(one, energy)):
            raise foreign(one, energy)


def usable_frames(values: FloatArray | Unread) -> NDArray[np.bool_]:
    """Return which frames hold a valid number (E,), looking no further than the first one."""
    frames: Any = values if isinstance(values, Unread) else values.reshape(len(values), -1)
    unread = isinstance(values, Unread)
    some = sampled_spectra(values) if unread else frames[:, :: max(1, frames.shape[1] // 1000)]
    usable: NDArray[np.bool_] = np.any(np.isfinite(some), axis=1)
    for i in np.flatnonzero(~usable):
        usable[i] = bool(np.isfinite(frames[i]).any())
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    return usable


def fitted_indices(
    energy: NDArray[np.float64],
    usable: NDArray[np.bool_],
    energy_range: Window | None,
    exclude: Sequence[Window],
) -> NDArray[np.intp]:
    """Return the indices of the energies that are fitted."""
    keep = usable.copy()
    for window in exclude:
        keep &= ~in_window(energy, check_window(window, "exclude"))
    if energy_range is None:
        energy_range = (float(energy[0]), float(energy[-1]))
    return window_indices(energy, energy_range, "energy_range", usable=keep)


def covered_indices(
    energy: NDArray[np.float64],
    fitted: NDArray[np.intp],
    references: Sequence[Reference],
    asked: Window | None,
    extrapolate: Extrapolate | None,
) -> tuple[NDArray[np.intp], list[str]]:
    """Return those of the fitted energies that all references cover, and what is to be said of the others.

    A range that was `asked` for is not narrowed: energies beyond a reference are then refused where they are used.

    Raises
    ------
    InputError
        If a reference covers hardly any of the energies.
    """
    wanted = energy[fitted]
    inside = [covered(r, wanted) for r in references]
    for r, known in zip(references, inside, strict=True):
        if fitted.size and known.mean() < FOREIGN:
            raise foreign(r, wanted)
    if asked is not None or extrapolate is not None or not inside or all(c.all() for c in inside):
        return fitted, []
    kept = fitted[np.logical_and.reduce(inside)]
    if kept.size < 2:
        return fitted, []  # which is then refused, by name
    narrow = ", ".join(f"'{r.name}'" for r, c in zip(references, inside, strict=True) if not c.all())
    said = (
        f"only {energy[kept[0]]:.2f} to {energy[kept[-1]]:.2f} eV were fitted, {kept.size} of {fitted.size} energies, as {narrow} "
        "cover no more; choose extrapolate = 'hold' to keep their end values beyond"
    )
    return kept, [said]


def sampled_pixels_of(values: NDArray[Any], mask: ArrayLike | None = None) -> NDArray[Any]:
    """Return spectra spread over the pixels that are fitted, as many as the noise is learned from."""
    if values.ndim == 1:
        return sampled_spectra(values)
    pixels = sampled_pixels(values.shape[1:])
    inside = np.arange(pixels.size) if mask is None else np.flatnonzero(np.ravel(inside_of(mask))[pixels])
    inside = inside[learned_from(inside.size)]
    if isinstance(values, Unread):
        return sampled_spectra(values)[:, inside]
    spectra: NDArray[Any] = values.reshape(len(values), -1).take(pixels[inside], axis=1)
    return spectra


def sampled_divisor(
    normalization: EdgeNormalization | None, values: NDArray[Any], mask: ArrayLike | None = None
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Return the thickness that was divided out, of the pixels of `sampled_pixels_of` and of all."""
    if normalization is None:
        return None, None
    image = np.asarray(normalization.thickness, values.dtype)
    if image.shape != values.shape[1:]:
        raise InputError(
            f"normalization is of images {image.shape}, mu of {values.shape[1:]}; give the one that mu comes from."
        )
    return sampled_pixels_of(image[None], mask)[0], np.ascontiguousarray(image)


def make_basis(
    references: Sequence[Reference],
    energy: NDArray[np.float64],
    extrapolate: Extrapolate | None,
    background: Sequence[int],
    weights: NDArray[np.float64] | None,
) -> Design:
    spectra = [interpolate_reference(r, energy, extrapolate=extrapolate) for r in references]
    return design(energy, spectra, [r.name for r in references], background, weights)


def shifted_references(references: Sequence[Reference], shifts: Sequence[float]) -> list[Reference]:
    return [shifted_reference(r, s) for r, s in zip(references, shifts, strict=True)]


def doubts_of(references: Sequence[Reference], basis: Design, energy: NDArray[np.float64]) -> list[str]:
    """Return what makes the fit doubtful before it is done."""
    count = len(references)
    which = f"references {', '.join(r.name for r in references)}" if count <= NAMED else f"{count} references"
    doubts = [hole for r in references if (hole := _hole(r, energy))]
    if basis.condition_number > ILL_CONDITIONED:
        said = (
            f"the {which} are nearly combinations of one another or of the background (condition number "
            f"{basis.condition_number:.0f}), so small noise gives large errors of the fractions; use fewer"
        )
        doubts.append(Grave(said))
    return doubts


def _hole(reference: Reference, energy: NDArray[np.float64]) -> str | None:
    """Say where the points of a reference are much farther apart than the data's energies, if they are."""
    if energy.size < 3:
        return None
    spacing = np.gradient(energy)
    after = np.searchsorted(reference.energy, energy).clip(1, reference.energy.size - 1)
    distance = reference.energy[after] - reference.energy[after - 1]
    inside = (energy >= reference.energy[0]) & (energy <= reference.energy[-1])
    ratio = np.where(inside, distance / spacing, 0)
    worst = int(ratio.argmax())
    if ratio[worst] <= COARSE:
        return None
    lo, hi = reference.energy[after[worst] - 1], reference.energy[after[worst]]
    return (
        f"reference '{reference.name}' has no points between {lo:.2f} and {hi:.2f} eV, where the data are {spacing[worst]:.2g} eV "
        "apart, and a straight line was taken; measure it more finely or leave those energies out"
    )


def redefined(given: Sequence[Reference], treated: Sequence[Reference]) -> list[str]:
    """Say by how much fractions mean something else, where references were normalised once more."""
    changed = []
    for one, other in zip(given, treated, strict=True):
        at = np.interp(other.energy, one.energy, one.mu)
        high = other.mu > HALF * other.mu.max()
        factor = float(np.median(at[high] / other.mu[high]))
        if abs(factor - 1) > NOTICED:
            changed.append(f"that of '{one.name}' {factor:.2f} times")
    if not changed:
        return []
    said = (
        "references were normalised as the data, so amounts count in steps as the data have them: "
        f"{', '.join(changed)} as much as with references as given, and fractions differ accordingly"
    )
    return [said]


def count_unconverged(maps: Mapping[str, FloatArray]) -> int:
    return int(np.nansum(maps["unconverged"], dtype=np.float64)) if "unconverged" in maps else 0


def gave_up(unconverged: int, pixels: int) -> list[str]:
    if not unconverged:
        return []
    text = (
        f"{of_pixels(unconverged, pixels)} did not converge in {MOST_ITERATIONS} iterations, because the references are "
        "nearly alike; use solver = 'direct' or fewer references"
    )
    return [Grave(text)]
