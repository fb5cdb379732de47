"""StackReg against movements that were put in, and on the measured phantom."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import ndimage

from napari_xanes import (
    EnergyStack,
    InputError,
    apply_drift,
    estimate_drift,
    flat_field,
    optical_density,
    read_stack,
)
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.base.params import make_params
from napari_xanes._core.runs.pipeline import run_steps

SHAPE = (150, 170)
MIDDLE = (np.array(SHAPE) - 1) / 2


def scene(seed=0):
    rng = np.random.default_rng(seed)
    grains = sum(ndimage.gaussian_filter(rng.standard_normal((220, 240)), g) * g for g in (3, 8))
    return ndimage.spline_filter(grains / grains.std())


def seen(base, matrix):
    """The frame that shows at ``matrix @ (y, x, 1)`` what the base shows at (y, x)."""
    back = np.linalg.inv(matrix)
    offset = back[:2, 2] + 35
    return ndimage.affine_transform(base, back[:2, :2], offset, SHAPE, order=3, prefilter=False)


def about_middle(linear, shift):
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = MIDDLE + shift - linear @ MIDDLE
    return matrix


def turn(degrees, scale=1.0):
    a = np.deg2rad(degrees)
    return scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])


MOVES = {
    "translation": [(np.eye(2), s) for s in ((0, 0), (2.3, -3.1), (-4.6, 1.2), (0.4, 5.5))],
    "rigid": [
        (turn(d), s) for d, s in ((0, (0, 0)), (0.8, (1.3, -2.1)), (-1.1, (-2.6, 0.7)), (0.4, (0.4, 3.5)))
    ],
    "similarity": [
        (turn(d, k), s) for d, k, s in ((0, 1, (0, 0)), (0.8, 1.01, (1.3, -2.1)), (-0.6, 0.985, (-2.6, 0.7)))
    ],
    "affine": [
        (np.eye(2), (0, 0)),
        (np.array([[1.01, 0.012], [-0.004, 0.99]]), (1.2, -1.7)),
        (np.array([[0.99, -0.01], [0.008, 1.006]]), (-2.2, 0.9)),
    ],
}


def at_corners(matrices):
    """Where the corners and the middle of the reference lie in each frame, (E, 2, 5)."""
    h, w = SHAPE
    points = np.array([[20, 20, h - 20, h - 20, h / 2], [20, w - 20, 20, w - 20, w / 2], [1] * 5])
    return (matrices @ points)[:, :2]


def frames_of(transform, contrast=1.0):
    base = scene()
    true = np.array([about_middle(linear, np.array(shift)) for linear, shift in MOVES[transform]])
    frames = np.stack([seen(base, m) * (contrast if i else 1) for i, m in enumerate(true)])
    noise = np.random.default_rng(1).standard_normal(frames.shape)
    return (frames + 0.05 * noise).astype(np.float32), true


@pytest.mark.parametrize("transform", MOVES)
@pytest.mark.parametrize("reference", [0, "previous"])
def test_movements_come_back(transform, reference):
    frames, true = frames_of(transform, contrast=0.4)
    drift = estimate_drift(frames, method="stackreg", transform=transform, reference=reference)
    off = np.linalg.norm(at_corners(drift.matrices) - at_corners(true), axis=1)
    assert off.max() < (0.15 if reference == 0 else 0.25)
    assert (drift.confidence > 0.9).all()
    assert (drift.method, drift.transform) == ("stackreg", transform)


@pytest.mark.parametrize("transform", ["rigid", "affine"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "lanczos"])
def test_frames_are_put_back(transform, interpolation):
    frames, _true = frames_of(transform)
    drift = estimate_drift(frames, method="stackreg", transform=transform, reference=0)
    aligned = apply_drift(frames, drift, interpolation=interpolation)
    valid = np.isfinite(aligned).all(axis=0)
    assert 0.8 < valid.mean() < 1
    inner = np.s_[:, 20:-20, 20:-20]
    assert np.sqrt(np.mean((aligned - frames[0])[inner] ** 2)) < 0.15


def test_region_mean_and_lost_frames():
    frames, true = frames_of("translation")
    frames = np.concatenate([frames, np.full_like(frames[:1], np.nan), np.ones_like(frames[:1])])
    drift = estimate_drift(frames, method="stackreg", reference="mean", roi=(10, 140, 20, 150))
    assert np.isnan(drift.shifts[4:]).all() and not drift.confidence[4:].any()
    found, wanted = drift.shifts[:4], true[:, :2, 2]
    np.testing.assert_allclose(found - found.mean(axis=0), wanted - wanted.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)


def test_a_region_does_not_change_where_frames_turn():
    frames, true = frames_of("rigid")
    drift = estimate_drift(frames, method="stackreg", transform="rigid", reference=0, roi=(15, 140, 25, 160))
    assert np.linalg.norm(at_corners(drift.matrices) - at_corners(true), axis=1).max() < 0.15


def test_invalid_pixels_stay_invalid_and_do_not_spread():
    frames, _true = frames_of("rigid")
    frames[1, 60:63, 80:83] = np.nan
    drift = estimate_drift(frames, method="stackreg", transform="rigid", reference=0)
    hole = np.isnan(apply_drift(frames, drift)[1, 40:90, 60:110])
    assert 9 <= hole.sum() <= 30


@pytest.fixture(scope="module")
def phantom(data_dir):
    """Every third frame of the nickel phantom, and its true shifts."""
    stack = read_stack(data_dir / "phantom_ni_2d" / "ni_txm_raw.h5")
    with h5py.File(data_dir / "phantom_ni_2d" / "truth.h5") as file:
        truth = file["shifts"][::3]
    return optical_density(flat_field(stack.data[:], stack.flat, stack.dark))[::3], truth


@pytest.mark.parametrize("reference", [-1, "mean", "previous"])
def test_phantom(phantom, whole_or_piece, reference):
    mu, truth = phantom
    error = estimate_drift(mu, method="stackreg", reference=reference).shifts - truth
    error -= error.mean(axis=0)
    assert np.sqrt((error**2).sum(axis=1).mean()) <= whole_or_piece(0.06, 0.16)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_gives_the_functions_frames(in_memory):
    frames, _ = frames_of("rigid")
    stack = EnergyStack(frames, np.arange(8300.0, 8304.0), "optical_density")
    given = {"method": "stackreg", "transform": "rigid", "reference": 0, "exclude": [2]}
    params = make_params(AlignParams, given, "align")
    result = run_steps(stack, [("align", params)], keep_stack=True, in_memory=in_memory)
    drift = estimate_drift(frames, method="stackreg", transform="rigid", reference=0)
    np.testing.assert_array_equal(result.stack.data, apply_drift(frames, drift.excluding([2])))
    assert np.isnan(result.stack.data[2]).all()
    assert result.history[-1]["found"]["unusable_frames"] == [8302.0]


def test_volumes_are_refused():
    with pytest.raises(InputError, match="the method stackreg takes images, these are volumes"):
        estimate_drift(np.random.default_rng(0).random((3, 5, 40, 40)), method="stackreg")


def test_jumps_of_many_grains_are_found():
    """Where filtered frames match at several places, or nowhere near."""
    rng = np.random.default_rng(0)
    big = np.zeros((220, 260))
    np.add.at(big, (rng.integers(0, 220, 250), rng.integers(0, 260, 250)), 1)
    big = ndimage.gaussian_filter(big, 3)
    big /= big.max()
    dx, dy = [0, 10, -12, 15, 1, -2, 13, -15, 14, -13, 12], [0, 3, 9, -12, 0, 1, -9, 11, -13, 0, 12]
    frames = np.array([big[40 + y : 120 + y, 50 + x : 210 + x] for x, y in zip(dx, dy, strict=True)])
    frames += 0.005 * rng.normal(size=frames.shape)
    true = -np.stack([dy, dx], axis=1)
    for reference in (0, "mean", "previous"):
        drift = estimate_drift(frames, method="stackreg", reference=reference)
        off = drift.shifts - true
        assert np.abs(off - off.mean(axis=0)).max() < 0.2
        assert (drift.confidence > 0.9).all() and (drift.sigma < 0.05).all()


def test_frames_that_match_nothing_are_named_also_when_most_do():
    rng = np.random.default_rng(2)
    base = ndimage.gaussian_filter(rng.normal(size=(90, 110)), 4)
    frames = np.stack([base + 0.01 * rng.normal(size=base.shape)] * 9)
    lost = [1, 2, 4, 5, 7, 8]
    frames[lost] = ndimage.gaussian_filter(rng.normal(size=(6, 90, 110)), (0, 4, 4))
    for reference in (0, "mean"):
        drift = estimate_drift(frames, method="stackreg", reference=reference)
        assert set(lost) <= set(drift.outliers().tolist())
        assert not drift.confidence[lost].any() and (drift.confidence[[0, 3, 6]] > 0.9).all()
