"""A mask as a step of a recipe: from a map that is there, combined with the mask so far, and applied or not."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.io.mask_file import read_mask
from napari_xanes._core.regions.masks import (
    as_mask,
    combine_masks,
    dilate,
    erode,
    fill_holes,
    otsu_threshold,
    polygon_mask,
    remove_small,
    threshold_mask,
)


class MaskParams(Params):
    """Parameters of a mask."""

    of: str = field(
        "thickness", "Map", "Name of the map that the limits are for, made by an earlier step.", widget="maps"
    )
    above: float | None = field(
        None, "At least", "Pixels of at least this value are inside. Empty: no limit.", example=0.1
    )
    below: float | None = field(
        None, "At most", "Pixels of at most this value are inside. Empty: no limit.", example=2.0
    )
    otsu: bool = field(
        False, "Otsu", "Choose the lower limit so that it best separates the values into two classes."
    )
    against: str | None = field(
        None,
        "Against",
        "Name of a second map, if the mask is what an outline in the scatter plot of both encloses.",
        widget="hidden",
        example="thickness",
    )
    outline: tuple[tuple[float, float], ...] = field(
        (),
        "Outline",
        "Corners (value of the second map, value of the map) of the outline in the scatter plot.",
        widget="hidden",
        example=[[0.2, 0.5], [2.0, 0.5], [2.0, 1.0]],
    )
    file: str | None = field(
        None,
        "File",
        "Image file that is not zero inside, such as a mask that was painted; in place of a map and its limits.",
        widget="file",
        example="mask.tif",
        rare=True,
    )
    fill: bool = field(False, "Fill holes", "What is cut off from the border becomes inside.")
    erode: int = field(0, "Erode", "Take this much off the rim.", unit="px", ge=0)
    dilate: int = field(0, "Dilate", "Add this much to the rim, after eroding.", unit="px", ge=0)
    remove_small: int = field(
        0, "Remove small", "Parts of fewer pixels are taken out.", unit="px", ge=0, example=20
    )
    combine: Literal["replace", "and", "or", "minus"] = field(
        "replace",
        "With the mask so far",
        "Replace it, or keep what is inside both, either, or it but not this one.",
    )
    apply: bool = field(
        True, "Apply", "Make everything outside invalid, in the maps so far and in all that follows."
    )


def mask_step(chain: Chain, params: MaskParams, progress: Progress) -> tuple[MaskParams, Found]:
    """Make a mask, labels "mask"; outside it everything becomes NaN if it is applied."""
    chain.compute(progress)
    if params.file is not None:
        mask = _shaped(_read(chain, params), params)
    else:
        image = chain.found_map(params.of, "mask")
        params = with_limit(params, image)
        against = None if params.against is None else chain.found_map(params.against, "mask")
        mask = mask_of(image, params, against)
    before = chain.labels.get("mask")
    if params.combine != "replace":
        if before is None:
            raise InputError(
                f"mask is to be combined ('{params.combine}') with the mask so far, but there is none."
            )
        mask = combine_masks(before, mask, params.combine)
    found = Found({"pixels_inside": int(mask.sum())})
    if not mask.any():
        found.warn("the mask is empty, no pixel lies within its limits")
    chain.labels["mask"] = mask.astype(np.uint8)
    if params.apply:
        chain.mask_pixels(mask, progress)
    return params, found


def _read(chain: Chain, params: MaskParams) -> NDArray[np.bool_]:
    """Return the mask that is kept in a file."""
    limits = params.above is not None or params.below is not None or params.otsu or params.outline
    if limits or params.against is not None:
        raise InputError("mask has both file and limits on a map; leave one of them out.")
    mask = as_mask(read_mask(str(params.file)))
    if mask.shape != chain.image_shape:
        raise InputError(
            f"the mask in {params.file} has shape {mask.shape}, the images have {chain.image_shape}; "
            "paint it on images of this size."
        )
    return mask


def with_limit(params: MaskParams, image: NDArray[Any]) -> MaskParams:
    """Return the parameters with the limit that Otsu's method finds for an image, if that is asked for."""
    if not params.otsu:
        return params
    if params.above is not None:
        raise InputError("mask has both otsu and above, which are two lower limits; leave one of them out.")
    return params.model_copy(update={"above": otsu_threshold(image), "otsu": False})


def mask_of(
    image: NDArray[Any], params: MaskParams, against: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Return where an image is within limits and outline, filled, eroded, dilated and cleaned; not combined yet."""
    if (against is None) != (not params.outline):
        raise InputError("mask needs both outline and against, the map that it is drawn against, or neither.")
    if against is None:
        return _shaped(threshold_mask(image, above=params.above, below=params.below), params)
    mask = polygon_mask(against, image, params.outline)
    if params.above is not None or params.below is not None:
        mask &= threshold_mask(image, above=params.above, below=params.below)
    return _shaped(mask, params)


def _shaped(mask: NDArray[np.bool_], params: MaskParams) -> NDArray[np.bool_]:
    """Fill, erode, dilate and clean, in this order."""
    if params.fill:
        mask = fill_holes(mask)
    if params.erode:
        mask = erode(mask, params.erode)
    if params.dilate:
        mask = dilate(mask, params.dilate)
    return remove_small(mask, params.remove_small) if params.remove_small else mask


MASK = Step(
    name="mask",
    title="Mask",
    does="keep the pixels within limits",
    params=MaskParams,
    run=mask_step,
    order=200,
    looks_back=True,
    after=("normalize",),
)
