"""How drift is found: small copies that do not alias, a window in detail, and threads that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_xanes import estimate_drift
from napari_xanes._core.align import copies
from napari_xanes._core.align.binning import binned, binned_by_rows
from napari_xanes._core.align.copies import _choose_bins, _detailed_window
from napari_xanes._core.align.view import RegionView


def moved(shape, shifts, grains=(2, 6, 20), seed=0, weights=None):
    """Frames of a texture displaced in Fourier space; grains weigh as much as they are large unless said otherwise."""
    rng = np.random.default_rng(seed)
    side = [n + 64 for n in shape]
    parts = [ndimage.gaussian_filter(rng.standard_normal(side), g) * g for g in grains]
    base = sum(w * part for w, part in zip(weights or [g / 8 for g in grains], parts, strict=True))
    spectrum = np.fft.rfftn(base / base.std())
    grid = np.meshgrid(
        *[np.fft.fftfreq(n) for n in side[:-1]], np.fft.rfftfreq(side[-1]), indexing="ij", sparse=True
    )
    inside = tuple(slice(32, n - 32) for n in side)
    phases = [np.exp(-2j * np.pi * sum(f * s for f, s in zip(grid, shift, strict=True))) for shift in shifts]
    return np.stack(
        [np.fft.irfftn(spectrum * p, s=side, axes=range(len(shape)))[inside] for p in phases]
    ).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 80), (67, 81), (16, 24, 32)])
@pytest.mark.parametrize("bins", [1, 2, 4, 8])
def test_small_copies_are_means_with_flanks(shape, bins):
    ramp = sum(np.indices(shape)).astype(np.float32)
    small = binned(ramp, [bins] * len(shape))
    assert small.shape == tuple(n // bins for n in shape)
    inner = (slice(1, -1),) * len(shape)
    if min(small.shape) > 2:
        wanted = bins * sum(np.indices(small.shape)) + len(shape) * (bins - 1) / 2
        np.testing.assert_allclose(small[inner], wanted[inner], rtol=1e-5)
    np.testing.assert_allclose(binned(np.full(shape, 3, np.float32), [bins] * len(shape)), 3, rtol=1e-6)


def test_detail_finer_than_the_small_copies_does_not_come_back_as_structure():
    x = np.arange(256)
    fine = np.broadcast_to(np.cos(2 * np.pi * x * 0.9 / 8), (256, 256)).astype(
        np.float32
    )  # 0.9 of a small pixel
    plain = fine.reshape(32, 8, 32, 8).mean(axis=(1, 3))
    assert binned(fine, (8, 8))[:, 1:-1].std() < 0.1 * plain.std()


def test_detail_finer_than_the_small_copies_does_not_pull_at_their_displacement():
    shifts = np.random.default_rng(1).uniform(-6, 6, (6, 2))
    shifts[-1] = 0
    frames = moved((320, 320), shifts, grains=(1.2, 4))
    assert _choose_bins(frames.shape[1:]) == (2, 2)
    found = estimate_drift(frames)
    error = found.shifts - shifts
    assert np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)) < 0.007
    assert np.median(found.sigma[:-1]) < 0.012


def test_invalid_pixels_are_left_out_of_the_means():
    frame = np.full((64, 64), 2, np.float32)
    frame[10:20, 30] = np.nan
    frame[40:60, 40:60] = np.nan
    small = binned(frame, (4, 4))
    assert np.isnan(small[11:14, 11:14]).all()
    np.testing.assert_allclose(small[np.isfinite(small)], 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "bins"),
    [
        ((200, 240), 1),
        ((512, 512), 4),
        ((1024, 1024), 8),
        ((2048, 2048), 16),
        ((64, 64, 64), 1),
        ((500, 500, 500), 8),
        ((12, 512, 512), (1, 4, 4)),
    ],
)
def test_binning_follows_the_size(shape, bins):
    assert _choose_bins(shape) == (bins if isinstance(bins, tuple) else (bins,) * len(shape))


def test_the_window_in_detail_lies_where_the_detail_is():
    small = np.zeros((80, 120), np.float32)
    small[50:60, 90:100] = np.random.default_rng(0).random((10, 10))
    rows, columns = _detailed_window(small, (8, 8))
    assert rows.stop - rows.start == 160 and columns.stop - columns.start == 240
    assert (
        rows.start <= 50 * 8 and rows.stop >= 60 * 8 and columns.start <= 90 * 8 and columns.stop >= 100 * 8
    )


def test_the_window_in_detail_does_not_grow_with_the_frame():
    """Of a volume of 2000 voxels a side, a hundred copies of a quarter an axis would take gigabytes."""
    small = np.random.default_rng(0).random((62, 62, 62), np.float32)
    sides = [s.stop - s.start for s in _detailed_window(small, (32, 32, 32))]
    assert min(sides) >= 128 and np.prod(sides) / 2**3 < 100**3


def test_faint_frames_are_measured_in_all_of_them_rather_than_in_a_window(monkeypatch):
    """What a window says counts where it is surer than what the whole frames say."""
    monkeypatch.setattr(copies, "_MOST_PIXELS", {2: 48**2})
    monkeypatch.setattr(copies, "_LARGE", 4)
    rng = np.random.default_rng(2)
    shifts = rng.uniform(-4, 4, (12, 2))
    shifts[-1] = 0
    frames = moved((160, 176), shifts, grains=(2, 6), seed=2)
    frames[:6] *= 0.05
    drift = estimate_drift((frames + rng.normal(0, 0.15, frames.shape)).astype(np.float32))
    assert np.sqrt(np.mean((drift.shifts[:6] - shifts[:6]) ** 2)) < 2 * np.median(drift.sigma[:6])


@pytest.mark.parametrize(("gain", "noise", "largest"), [(0.25, 0.12, 0.04), (0.05, 0.05, 0.06)])
def test_frames_of_which_a_window_tells_more_keep_their_place_among_the_others(
    gain, noise, largest, monkeypatch
):
    """It tells more of one of twelve in the first, of three to six in the second."""
    monkeypatch.setattr(copies, "_MOST_PIXELS", {2: 48**2})
    monkeypatch.setattr(copies, "_LARGE", 4)
    errors = []
    for seed in (2, 3, 4):
        rng = np.random.default_rng(seed)
        shifts = rng.uniform(-4, 4, (12, 2))
        shifts[-1] = 0
        frames = moved((160, 176), shifts, grains=(2, 6), seed=seed)
        frames[:6] *= gain
        noisy = (frames + rng.normal(0, noise, frames.shape)).astype(np.float32)
        error = estimate_drift(noisy, reference="mean").shifts - shifts
        errors.append(error - error.mean(axis=0))
    assert np.sqrt(np.mean(np.square(errors))) < largest


@pytest.mark.parametrize("corner", [False, True])
def test_large_frames_are_measured_in_detail(corner):
    """Frames so large that small copies have an eighth of their pixels an axis; also if only a corner has structure."""
    shifts = np.array([[0, 0], [3.3, -2.6], [-7.45, 0.2], [5.8, 6.6], [0.51, -9.37], [2.2, 4.1]])
    frames = moved((1024, 1024), shifts, seed=3)
    if corner:
        frames *= ndimage.gaussian_filter(np.pad(np.ones((320, 320), np.float32), ((90, 614), (614, 90))), 20)
    frames += 0.02 * np.random.default_rng(1).standard_normal(frames.shape, np.float32)
    drift = estimate_drift(frames, reference=0)
    error = np.hypot(*(drift.shifts - shifts).T)
    assert np.sqrt((error**2).mean()) < 0.03


def test_a_pattern_of_the_detector_and_fringes_that_change_do_not_pull_at_large_frames():
    """What is left of the pattern is in no error, so that a window may count whose error is somewhat larger."""
    rng = np.random.default_rng(3)
    shifts = rng.uniform(-10, 10, (16, 2))
    frames = 0.35 * moved((1024, 1024), shifts, weights=(1, 2, 4), seed=3)
    pattern = ndimage.gaussian_filter(rng.standard_normal((1024, 1024), np.float32), 1)
    for frame, past_edge in zip(frames, np.linspace(-1, 1, 16), strict=True):
        fringes = ndimage.gaussian_laplace(frame, 2)
        frame *= 1 if past_edge > 0 else 0.27
        frame += 0.05 * np.tanh(3 * past_edge) * fringes / fringes.std() + 0.02 * pattern / pattern.std()
        frame += 0.025 * rng.standard_normal(frame.shape, np.float32)
    error = estimate_drift(frames, reference="mean").shifts - shifts
    error -= error.mean(axis=0)
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.05


def test_threads_do_not_change_the_result():
    shifts = np.cumsum(np.random.default_rng(5).normal(0, 1.5, (20, 2)), axis=0)
    frames = moved((180, 200), shifts, seed=4)
    one, many = (estimate_drift(frames, workers=n) for n in (1, 5))
    np.testing.assert_array_equal(one.shifts, many.shifts)
    np.testing.assert_array_equal(one.confidence, many.confidence)


@pytest.mark.parametrize("shape", [(1, 60, 64), (1, 340, 330)])
def test_a_volume_of_one_plane_is_measured_as_an_image(shape):
    """The second is begun on copies of half the length, of which a plane has no half."""
    shifts = np.array([[0, 0, 0], [0, 2.3, -1.6], [0, -3.1, 0.7], [0, 1.2, 4.4], [0, 0.5, -2.2]])
    frames = moved(shape[1:], shifts[:, 1:], grains=(2, 6), seed=6)
    frames += 0.05 * np.random.default_rng(0).standard_normal(frames.shape, np.float32)
    found = estimate_drift(frames[:, None], reference=0).shifts
    np.testing.assert_allclose(found, shifts, atol=0.03)


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_thin_volumes_of_many_pixels_have_a_window_in_detail(planes, monkeypatch):
    monkeypatch.setattr(copies, "_MOST_PIXELS", {3: planes * 64**2})
    monkeypatch.setattr(copies, "_LARGE", 4)
    shifts = np.array([[0, 0, 0], [0, 2.3, -1.6], [0, -3.1, 0.7], [0, 1.2, 4.4], [0, 0.5, -2.2]])
    frames = np.stack([moved((240, 256), shifts[:, 1:], seed=seed) for seed in range(planes)], axis=1)
    found = estimate_drift(frames, reference=0).shifts
    np.testing.assert_allclose(found, shifts, atol=0.1)


def test_two_planes_that_drift_across_them():
    shifts = np.array([[0, 0, 0], [0.4, 2.3, -1.6], [-0.6, -3.1, 0.7], [0.5, 1.2, 4.4]])
    frames = moved((2, 90, 100), shifts, grains=(3, 6), seed=6)
    found = estimate_drift(frames, reference=0).shifts
    np.testing.assert_allclose(found[:, 1:], shifts[:, 1:], atol=0.3)
    assert np.abs(found[:, 0]).max() < 1.5


def test_thin_volumes_are_measured():
    shifts = np.array([[0, 0, 0], [0.4, 2.3, -1.6], [-0.6, -3.1, 0.7], [0.2, 1.2, 4.4]])
    frames = moved((12, 160, 180), shifts, grains=(3, 6), seed=6)
    found = estimate_drift(frames, reference=0).shifts
    np.testing.assert_allclose(found[:, 1:], shifts[:, 1:], atol=0.1)
    assert np.abs(found[:, 0]).max() < 1.5  # of twelve planes little can be said, but nothing wild


@pytest.mark.parametrize("bins", [(1, 2, 2), (4, 2, 1), (8, 8, 8)])
@pytest.mark.parametrize("tall", [1, 2, 5])
@pytest.mark.parametrize("holes", ["none", "early", "late", "everywhere"])
def test_a_volume_is_binned_to_the_same_bits_a_few_planes_at_a_time(bins, tall, holes):
    volume = np.random.default_rng(0).normal(size=(67, 16, 24)).astype(np.float32)
    if holes != "none":
        volume[
            {"early": slice(3, 9), "late": slice(50, 52), "everywhere": slice(None)}[holes], 4:15, 3:20
        ] = np.nan
    volume[66] = np.inf  # beyond the last whole bin
    height = tall * bins[0]
    slabs = (volume[start : start + height] for start in range(0, len(volume), height))
    np.testing.assert_array_equal(binned_by_rows(slabs, len(volume), bins), binned(volume, bins))


@pytest.mark.parametrize("packed", [1, 12, 64])
def test_volumes_are_read_once_and_not_whole_where_they_need_not_be(packed, monkeypatch):
    monkeypatch.setattr(copies, "_AT_ONCE", 2**18)
    frames = moved((64, 96, 96), [(0, 0, 0), (1.5, -0.7, 0.2), (0, 0, 0)], grains=(2, 5))
    asked = []

    def read(i, planes):
        asked.append((i, planes))
        return frames[i, planes]

    volume = RegionView(read, (0, 96, 0, 96), frames.shape[1:], packed)
    found = copies.small_copies(volume, 3, lambda *_: None, 1)
    for i in range(3):
        of_one = [planes for j, planes in asked if j == i]
        assert [planes.start for planes in of_one] == [0, *(planes.stop for planes in of_one[:-1])]
        assert of_one[-1].stop == 64
        assert max(planes.stop - planes.start for planes in of_one) == {1: 6, 12: 12, 64: 64}[packed]
    whole = copies.small_copies(lambda i: frames[i], 3, lambda *_: None, 1)
    for one, other in zip(found.frames, whole.frames, strict=True):
        np.testing.assert_array_equal(one, other)
