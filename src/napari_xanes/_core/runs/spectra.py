"""What steps make of a few spectra of a stack, without a run over all its pixels.

Steps choose for all pixels alike: edge energy and windows, shared slopes, shifts of references, weights.  They do so
from a sample of the stack, so that a small stack of just this sample leads to the same choices; then the kernels
that a run applies to every pixel are applied to the spectra that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.progress import no_progress
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.edge.step import normalize_step
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.judge import Sample
from napari_xanes._core.engine.sampling import sampled_rows
from napari_xanes._core.fit.fit import INNER
from napari_xanes._core.fit.library import count_unconverged
from napari_xanes._core.fit.params import FitParams
from napari_xanes._core.fit.result import ReferenceFit
from napari_xanes._core.fit.step import Fitted, add_fit, treated_references
from napari_xanes._core.groups.source import pixels_with_step
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._core.prepare.flat_field import FlatFieldParams, flat_field_step
from napari_xanes._core.prepare.optical_density import OpticalDensityParams, optical_density_step
from napari_xanes._core.solve.least_squares import FitKernel

Float64 = NDArray[np.float64]


def sampled_stack(stack: EnergyStack) -> EnergyStack:
    """Return a small stack in memory that is sampled as the given one is; counts become optical density.

    Parameters
    ----------
    stack : EnergyStack
        Lazy ones are read in a few rows.

    Returns
    -------
    EnergyStack
        Of shape (E, rows, columns), with the history of the given one and without flats and darks.

    Raises
    ------
    InputError
        If it holds no valid number, or its flats do not fit.
    """
    chain = Chain(stack, in_memory=False)
    with files_kept_open():
        if stack.signal == "counts" and stack.flat is not None:
            flat_field_step(chain, FlatFieldParams(), no_progress)
        if stack.signal in ("counts", "transmission"):
            optical_density_step(chain, OpticalDensityParams(), no_progress)
        spectra = chain.sample().spectra
    rows = sampled_rows(stack.image_shape).size
    return stack.replace(
        data=np.ascontiguousarray(spectra.reshape(len(spectra), rows, -1)),
        signal=chain.signal,
        flat=None,
        dark=None,
        thickness=None,
    )


@dataclass(frozen=True, eq=False)
class SpectrumFound:
    """What the steps made of one spectrum.

    Attributes
    ----------
    spectrum : array (E,)
        As it is after the steps; NaN at all energies where it cannot be normalised.
    edge_step, thickness : float or None
        What the normalisation found, as in the maps of these names.
    gated : bool
        Whether the edge step is below the least one that was asked for.
    in_noise : bool
        Whether the edge step is no more than its noise may be: what was divided by it shows nothing.
    pre_curve, post_curve : array (E,) or None
        The curves before and after the edge.
    fit : ReferenceFit or None
        The fit of this spectrum; its coefficients are NaN if it could not be fitted.
    """

    spectrum: Float64
    edge_step: float | None = None
    thickness: float | None = None
    gated: bool = False
    in_noise: bool = False
    pre_curve: Float64 | None = None
    post_curve: Float64 | None = None
    fit: ReferenceFit | None = None


class SpectraSteps:
    """Normalisation and fit, ready to be applied to any spectra of a stack.

    Parameters
    ----------
    sample : EnergyStack
        What `sampled_stack` returned.
    normalize : NormalizeParams, optional
        Left out where spectra stay as they are.
    fit : FitParams, optional
        Left out where nothing is fitted.
    references : sequence of Reference, optional
        Used as they are, in place of those in the files that `fit` names.
    judged : Sample, optional
        Of other steps of the same sample, which spares looking at it again.

    Attributes
    ----------
    judged : Sample
        What was found in the sample itself.
    normalization : NormalizeParams or None
        With everything chosen that was left to choose.
    references : tuple of Reference
        As they are fitted.

    Raises
    ------
    InputError
        As the steps do.
    """

    def __init__(
        self,
        sample: EnergyStack,
        normalize: NormalizeParams | None = None,
        fit: FitParams | None = None,
        references: Sequence[Reference] | None = None,
        judged: Sample | None = None,
    ) -> None:
        chain = Chain(sample, judged=judged)
        self.judged = chain.sample()
        self.energy: Float64 = sample.energy
        self.normalization: NormalizeParams | None = None
        self.references: tuple[Reference, ...] = ()
        if normalize is not None:
            self.normalization, _ = normalize_step(chain, normalize, no_progress)
        if fit is not None:
            add_fit(chain, fit, treated_references(fit, chain) if references is None else references)
            self.references = tuple(chain.extra["references"])
            self._fitted = chain.handed(Fitted)
        self._kernels = chain.kernels

    def __call__(self, spectrum: NDArray[Any]) -> SpectrumFound:
        """Apply the steps to one spectrum (E,), which is not changed."""
        y = np.array(spectrum, np.float64)[:, None]
        maps = blocks.allocate_maps(self._kernels, (1,), np.float64)
        facts: dict[str, Any] = {}
        earlier: dict[str, blocks.FloatArray] = {}
        for kernel, found in zip(self._kernels, maps, strict=True):
            before = y[:, 0].copy()
            blocks.apply_kernels([kernel], y, [found], slice(None), earlier)
            if isinstance(kernel, NormalizeKernel):
                pre, post = kernel.curves_of(before)
                facts |= {name: float(found[name][0]) for name in ("edge_step", "thickness")}
                facts |= {"pre_curve": pre, "post_curve": post}
                facts["gated"] = bool(found["gated"][0]) if "gated" in found else False
                facts["in_noise"] = not pixels_with_step(y, self.energy, kernel.divisor_noise)[0]
            elif isinstance(kernel, FitKernel):
                facts["fit"] = self._as_fit(kernel, before, found)
        return SpectrumFound(y[:, 0], **facts)

    def _as_fit(
        self, kernel: FitKernel, spectrum: Float64, maps: dict[str, blocks.FloatArray]
    ) -> ReferenceFit:
        basis, handed = kernel.basis, self._fitted
        assert handed is not None
        fitted = handed.indices
        values: dict[str, Any] = {name: maps[name][..., 0] for name in kernel.maps if name not in INNER}
        return ReferenceFit(
            **values,
            names=tuple(one.name for one in self.references),
            energy=self.energy[fitted],
            condition_number=basis.condition_number,
            weights=basis.weights,
            n_unconverged=count_unconverged(maps),
            _mu=spectrum,
            _fitted=fitted,
            _basis=(basis.background, basis.references),
        )
