"""The steps `cluster` and `decompose` of a recipe: what `clustering` and `decomposition` do, on a stack on its way."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.step import Step
from napari_xanes._core.groups.cluster import Clusters, cluster
from napari_xanes._core.groups.covariance import Float64, Spectra
from napari_xanes._core.groups.decompose import Method, components_of
from napari_xanes._core.groups.kmeans import mean_of_clusters
from napari_xanes._core.groups.source import spectra_of, spectra_of_chain

_RANGE: dict[str, Any] = {"unit": "eV", "widget": "window", "example": [8325.0, 8370.0]}


class ClusterParams(Params):
    """Parameters of k-means."""

    n_clusters: int = field(4, "Clusters", "Number of groups of pixels.", ge=1, le=100)
    energy_range: Window | None = field(
        None, "Energy range", "Energies by which pixels are told apart. Empty: all of the scan.", **_RANGE
    )
    maps: tuple[str, ...] = field(
        (),
        "Maps",
        "Group pixels by the values of these maps, each divided by its spread. Empty: by their spectra.",
        widget="maps",
        example=["thickness"],
    )
    seed: int = field(
        0, "Seed", "Start of the random numbers; the same seed gives the same clusters.", ge=0, rare=True
    )


class DecomposeParams(Params):
    """Parameters of the decomposition."""

    n_components: int = field(3, "Components", "Number of components.", ge=1, le=100)
    method: Method = field(
        "pca",
        "Method",
        "'pca' finds the directions in which spectra differ most; 'nmf' finds spectra and amounts that are not negative.",
    )
    energy_range: Window | None = field(
        None, "Energy range", "Energies that are looked at. Empty: all of the scan.", **_RANGE
    )


def cluster_step(chain: Chain, params: ClusterParams, progress: Progress) -> tuple[ClusterParams, Found]:
    """Group the pixels: labels "clusters", table "cluster_spectra"."""
    if "clusters" in chain.labels:
        raise InputError("there are clusters already; run a second grouping as a recipe of its own.")
    if params.maps and params.energy_range:
        raise InputError("energy_range has no meaning where maps are grouped; leave one of them out.")
    found = Found()
    spectra = spectra_of_chain(chain, params.energy_range, found, progress, thinned=True, without_empty=True)
    if params.maps:
        groups = _cluster_maps(chain, params, progress)
        means = mean_of_clusters(spectra, groups.labels.ravel(), len(groups.counts))
    else:
        groups = cluster(spectra, params.n_clusters, params.seed)
        means = groups.spectra
        if chain.signal != "normalized":
            found.warn(
                f"the clusters are of {chain.signal.replace('_', ' ')} and follow the amount of material more than its "
                "chemistry; put normalize before cluster"
            )
    chain.labels["clusters"] = groups.labels
    columns = {f"cluster_{k}": mean for k, mean in enumerate(means, start=1)}
    chain.tables["cluster_spectra"] = {"energy": chain.energy, **columns}
    found.update(
        {
            "pixels": groups.counts.tolist(),
            "invalid_pixels": groups.invalid,
            "inertia": groups.inertia,
            "silhouette": None if np.isnan(groups.silhouette) else round(groups.silhouette, 4),
        }
    )
    return params if params.maps else _resolved(params, chain, spectra), found


def _cluster_maps(chain: Chain, params: ClusterParams, progress: Progress) -> Clusters:
    missing = [name for name in params.maps if name not in chain.maps]
    if missing:
        raise InputError(
            f"there is no map '{missing[0]}' before this step; there are: {', '.join(chain.maps) or 'none'}."
        )
    images = []
    for name in params.maps:
        data = np.asarray(chain.maps[name].data, dtype=np.float32)
        spread = np.nanstd(data, dtype=np.float64)
        images.append(data / np.float32(spread) if spread > 0 else data)
    picked = spectra_of(np.stack(images), progress=progress, workers=chain.workers)
    return cluster(picked, params.n_clusters, params.seed)


def decompose_step(
    chain: Chain, params: DecomposeParams, progress: Progress
) -> tuple[DecomposeParams, Found]:
    """Decompose the stack: maps "component_1" and so on, tables "components" and "scree"."""
    if "components" in chain.tables:
        raise InputError("there are components already; run a second decomposition as a recipe of its own.")
    found = Found()
    spectra = spectra_of_chain(chain, params.energy_range, found, progress, without_empty=True)
    made = components_of(spectra, params.n_components, params.method)
    columns: dict[str, Float64] = {"energy": chain.energy, "mean": made.mean}
    for k, (spectrum, image) in enumerate(zip(made.spectra, made.maps, strict=True), start=1):
        columns[f"component_{k}"] = spectrum
        chain.maps[f"component_{k}"] = NamedMap(image, "component")
    chain.tables["components"] = columns
    chain.tables["scree"] = {"component": np.arange(1, made.scree.size + 1), "explained": made.scree}
    found.update(
        {
            "explained": made.explained.tolist(),
            "relative_error": made.relative_error,
            "invalid_pixels": made.invalid,
        }
    )
    if made.clipped:
        found["clipped"] = made.clipped
    return _resolved(params, chain, spectra), found


def _resolved(params: Any, chain: Chain, spectra: Spectra) -> Any:
    """Fill in the energies used."""
    first, last = (float(chain.energy[i]) for i in spectra.used[[0, -1]])
    return params.model_copy(update={"energy_range": (first, last)}) if first < last else params


def _with_step(given: dict[str, Any], before: Before) -> tuple[str, ...]:
    """Return the mask of the pixels that are not empty, where the script knows how it normalised."""
    if not before.normalized_here or "maps" in given:
        return ()
    return ("mask=nx.pixels_with_step(images, energy, edge.step_noise)",)


def _cluster_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    number = repr(given.pop("n_clusters", 4))
    return [
        *call(
            "clusters",
            "nx.cluster_spectra",
            "images",
            number,
            "energy=energy",
            *_with_step(given, before),
            **given,
        ),
        'labels["clusters"] = clusters.labels',
        'tables["cluster_spectra"] = {"energy": energy}',
        "for k, spectrum in enumerate(clusters.spectra, start=1):",
        '    tables["cluster_spectra"][f"cluster_{k}"] = spectrum',
    ]


def _decompose_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    number = repr(given.pop("n_components", 3))
    return [
        *call(
            "components",
            "nx.decompose",
            "images",
            number,
            "energy=energy",
            *_with_step(given, before),
            **given,
        ),
        "for k, image in enumerate(components.maps, start=1):",
        '    maps[f"component_{k}"] = image',
    ]


CLUSTER = Step(
    name="cluster",
    title="Clusters",
    does="group pixels by their spectra",
    params=ClusterParams,
    run=cluster_step,
    order=160,
    measures=True,
    after=("flat_field", "normalize"),
    code=_cluster_code,
)


DECOMPOSE = Step(
    name="decompose",
    title="Components",
    does="write all spectra as sums of a few",
    params=DecomposeParams,
    run=decompose_step,
    order=170,
    makes=("component",),
    map_count=lambda params: params.n_components,
    measures=True,
    after=("flat_field",),
    code=_decompose_code,
)
