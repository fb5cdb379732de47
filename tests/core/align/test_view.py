"""Drift of what a mask leaves, of gradients, and of images whose scale changes with energy."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from napari_xanes import Drift, EnergyStack, InputError, apply_drift, estimate_drift
from napari_xanes._core.align.affine import transformed_rows
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.runs.pipeline import run_steps

N, SIDE = 9, 160
ENERGY = 8300 + 17.5 * np.arange(N)


def texture(rng, shape, sigma=1.5):
    image = gaussian_filter(rng.normal(size=shape), sigma)
    return (image / image.std()).astype(np.float32)


def rms(error):
    return float(np.sqrt((error**2).sum(axis=1).mean()))


def two_objects(seed=0):
    """Two patches of texture that move differently: frames, where the first is, and the drift of the first."""
    rng = np.random.default_rng(seed)
    first, second = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    first[50:100, 30:75], second[20:140, 95:150] = 1, 1
    layers = [gaussian_filter(mask, 1.5) * (2 + texture(rng, (SIDE, SIDE))) for mask in (first, second)]
    moves = [np.cumsum(rng.normal(0, 0.6, (N, 2)), axis=0) for _ in layers]
    frames = np.zeros((N, SIDE, SIDE), np.float32)
    for layer, move in zip(layers, moves, strict=True):
        drift = Drift.from_shifts(-move)
        still = np.repeat(layer[None].astype(np.float32), N, axis=0)
        frames += np.nan_to_num(apply_drift(still, drift))
    frames += rng.normal(0, 0.1, frames.shape).astype(np.float32)
    mask = np.roll(first, np.round(moves[0][-1]).astype(int), (0, 1))
    return frames, mask, moves[0] - moves[0][-1]


@pytest.mark.parametrize("seed", range(3))
def test_only_what_the_mask_leaves_is_followed(seed):
    frames, mask, truth = two_objects(seed)
    assert rms(estimate_drift(frames).shifts - truth) > 0.5, "the larger object leads without a mask"
    found = estimate_drift(frames, mask=mask)
    assert rms(found.shifts - truth) < 0.06
    assert found.roi is not None


def test_the_mask_of_the_step_comes_from_a_file(tmp_path):
    frames, mask, truth = two_objects()
    tifffile.imwrite(tmp_path / "mask.tif", mask.astype(np.uint8))
    stack = EnergyStack(frames, ENERGY, "optical_density")
    params = AlignParams(mask=str(tmp_path / "mask.tif"))
    result = run_steps(stack, [("align", params)], keep_stack=True)
    assert rms(result.extra["drift"].shifts - truth) < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_gradients_do_not_mind_contrast_that_turns_over(seed):
    """Below and above an edge, light and dark may change places; outlines stay."""
    rng = np.random.default_rng(seed)
    grains = (gaussian_filter(rng.normal(size=(SIDE, SIDE)), 4) > 0).astype(np.float32)
    image = gaussian_filter(grains, 1.0)
    truth = np.cumsum(rng.normal(0, 0.6, (N, 2)), axis=0)
    contrast = np.where(np.arange(N) < N // 2, -1.0, 1.0).astype(np.float32)[:, None, None]
    still = contrast * image
    frames = apply_drift(still, Drift.from_shifts(-truth))
    frames += rng.normal(0, 0.05, frames.shape).astype(np.float32)
    found = estimate_drift(frames, on="gradient")
    assert rms(found.shifts - (truth - truth[-1])) < 0.08


@pytest.mark.parametrize(("per_ev", "seed"), [(-2e-4, 1), (1.2e-4, 2)])
def test_magnification_that_changes_with_energy(per_ev, seed):
    rng = np.random.default_rng(seed)
    image = texture(rng, (SIDE + 60, SIDE + 60))
    truth = np.cumsum(rng.normal(0, 0.8, (N, 2)), axis=0)
    truth -= truth[-1]
    scale = 1 + per_ev * (ENERGY - ENERGY[-1])
    middle = (SIDE + 59) / 2
    frames = np.empty((N, SIDE, SIDE), np.float32)
    for i in range(N):
        back = np.diag([1 / scale[i], 1 / scale[i], 1.0])  # where the reference shows what frame i shows
        back[:2, 2] = middle - (middle + truth[i]) / scale[i]
        frames[i] = transformed_rows(lambda r: image[r], image.shape, back, slice(None), "lanczos")[
            30:-30, 30:-30
        ]
    frames += rng.normal(0, 0.1, frames.shape).astype(np.float32)
    stack = EnergyStack(frames, ENERGY, "optical_density")
    found = estimate_drift(stack, magnification=True)
    measured = found.matrices[:, 0, 0]
    assert np.abs(measured - scale).max() < 2e-4
    corners = np.array([[0, 0, 1], [0, SIDE - 1, 1], [SIDE - 1, 0, 1], [SIDE - 1, SIDE - 1, 1.0]]).T
    at = (SIDE - 1) / 2
    expected = scale[:, None, None] * (corners[:2] - at) + at + truth[:, :, None]
    assert np.abs((found.matrices @ corners)[:, :2] - expected).max() < 0.1
    without = estimate_drift(stack)
    assert np.abs((without.matrices @ corners)[:, :2] - expected).max() > 0.5
    result = run_steps(stack, [("align", AlignParams(magnification=True))], keep_stack=True)
    assert result.history[-1]["found"]["magnification_per_ev"] == pytest.approx(per_ev, rel=0.02)
    inner = (slice(None), slice(30, -30), slice(30, -30))
    spread = np.nanstd(result.stack.data[inner], axis=0).mean()
    assert spread < 0.13, "only the noise is left"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mask": np.ones((3, 3))}, "the mask has shape"),
        ({"mask": np.zeros((SIDE, SIDE))}, "the mask is empty"),
        ({"on": "edges"}, "on is 'edges', expected one of"),
        ({"magnification": True}, "give an EnergyStack"),
    ],
)
def test_misuse(given, said):
    frames, *_ = two_objects()
    with pytest.raises(InputError, match=said):
        estimate_drift(frames, **given)
    stack = EnergyStack(frames, ENERGY, "optical_density")
    with pytest.raises(InputError, match="leave it out, or choose that"):
        estimate_drift(stack, method="stackreg", magnification=True)
