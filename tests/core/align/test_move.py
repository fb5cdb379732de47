"""Moving frames: exact where it can be, close to the Fourier answer elsewhere, and the same in bands."""

import tracemalloc

import numpy as np
import pytest

from napari_xanes._core.align import move as move_module
from napari_xanes._core.align.move import INTERPOLATIONS, moved_rows, tap_weights, valid_span


def texture(shape, sigma, seed=0):
    """Spectrum of a periodic smooth random image."""
    grid = np.meshgrid(
        *[np.fft.fftfreq(n) for n in shape[:-1]], np.fft.rfftfreq(shape[-1]), indexing="ij", sparse=True
    )
    noise = np.fft.rfftn(np.random.default_rng(seed).normal(size=shape))
    return noise * np.exp(-2 * (np.pi * sigma) ** 2 * sum(f * f for f in grid)), grid


def moved_exactly(spectrum, grid, shift, shape):
    phase = sum(f * s for f, s in zip(grid, shift, strict=True))
    return np.fft.irfftn(spectrum * np.exp(2j * np.pi * phase), shape, axes=range(len(shape))).astype(
        np.float32
    )


def move(frame, shift, rows=slice(None), interpolation="lanczos"):
    return moved_rows(lambda r: frame[r].copy(), frame.shape, shift, rows, interpolation)


def inner(image, margin=12):
    return image[(slice(margin, -margin),) * image.ndim]


@pytest.mark.parametrize(("interpolation", "error"), [("lanczos", 0.008), ("cubic", 0.04), ("linear", 0.13)])
def test_close_to_the_fourier_answer(interpolation, error):
    shape, shift = (120, 150), (3.37, -5.61)
    spectrum, grid = texture(shape, 1.2)
    frame = moved_exactly(spectrum, grid, (0, 0), shape)
    wanted = moved_exactly(spectrum, grid, shift, shape)
    found = move(frame, shift, interpolation=interpolation)
    rms = np.sqrt(np.mean((inner(found) - inner(wanted)) ** 2)) / frame.std()
    assert rms < error


def test_whole_pixels_change_no_value_and_never_wrap():
    frame = np.random.default_rng(1).normal(size=(20, 31)).astype(np.float32)
    found = move(frame, (3, -5))
    np.testing.assert_array_equal(found[:17, 5:], frame[3:, :26])
    assert np.isnan(found[17:]).all()
    assert np.isnan(found[:, :5]).all()
    np.testing.assert_array_equal(move(frame, (0, 0)), frame)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_constant_stays_constant_up_to_the_border(interpolation):
    found = move(np.full((20, 24), 7.0, np.float32), (1.5, -2.25), interpolation=interpolation)
    np.testing.assert_allclose(found[:18, 3:], 7, rtol=1e-6)
    assert np.isnan(found[18:]).all()
    assert np.isnan(found[:, :3]).all()


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_invalid_pixel_spoils_only_what_lies_next_to_it(interpolation):
    frame = np.full((30, 30), 2.0, np.float32)
    frame[10, 12] = np.nan
    found = move(frame, (0.5, 0.25), interpolation=interpolation)[:29, :29]
    np.testing.assert_array_equal(np.argwhere(np.isnan(found)), [[9, 11], [9, 12], [10, 11], [10, 12]])
    np.testing.assert_allclose(found[np.isfinite(found)], 2, rtol=1e-6)
    assert np.isnan(move(frame, (1, 0), interpolation=interpolation)[:29]).sum() == 1


def test_infinite_values_are_invalid_too():
    frame = np.ones((20, 20), np.float32)
    frame[5, 5], frame[9, 9] = np.inf, -np.inf
    found = move(frame, (0.5, 0.5))[:19, :19]
    assert np.isnan(found).sum() == 8
    np.testing.assert_allclose(found[np.isfinite(found)], 1, rtol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("shape", "shift"),
    [
        ((61, 47), (3.3, -2.7)),
        ((61, 47), (-3.3, 2)),
        ((61, 47), (40.5, -11.2)),
        ((61, 47), (-0.4, 0)),
        ((20, 17, 19), (1.2, -0.4, 2.6)),
    ],
)
def test_bands_join_to_the_last_bit(interpolation, shape, shift):
    rng = np.random.default_rng(2)
    frame = rng.normal(size=shape).astype(np.float32)
    frame[rng.random(shape) < 0.02] = np.nan
    frame[8:14, 5:12] = np.nan
    whole = move(frame, shift, interpolation=interpolation)
    assert np.isfinite(whole).any()
    for step in (1, 7):
        bands = [
            move(frame, shift, slice(a, min(a + step, shape[0])), interpolation)
            for a in range(0, shape[0], step)
        ]
        np.testing.assert_array_equal(np.concatenate(bands), whole)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(12, 130, 131), (9, 1700, 10)])
@pytest.mark.parametrize("shift", [(0.3, -1.4, 2.2), (-2.0, 0.5, 0.0), (0.25, 0.0, -3.75)])
def test_large_planes_of_volumes_join_to_the_last_bit_and_are_like_small_ones(
    interpolation, shape, shift, monkeypatch
):
    frame = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    frame[5, 40:42, 5] = np.nan
    whole = move(frame, shift, interpolation=interpolation)
    for rows in (slice(0, 1), slice(4, 5), slice(3, 9)):
        np.testing.assert_array_equal(move(frame, shift, rows, interpolation), whole[rows])
    monkeypatch.setattr(move_module, "_LARGE_PLANE", np.inf)
    np.testing.assert_allclose(move(frame, shift, interpolation=interpolation), whole, atol=2e-6)


def test_only_displaced_rows_are_read():
    asked = []
    frame = np.ones((100, 8), np.float32)

    def read(rows):
        asked.append(rows)
        return frame[rows].copy()

    moved_rows(read, frame.shape, (10.5, 0.0), slice(20, 30))
    assert asked == [slice(27, 44)]
    asked.clear()
    assert np.isnan(moved_rows(read, frame.shape, (200.0, 0.0), slice(20, 30))).all()
    assert np.isnan(moved_rows(read, frame.shape, (np.nan, np.nan), slice(20, 30))).all()
    assert asked == []


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_weights_add_up_and_hit_the_samples(interpolation):
    for fraction in (0.1, 0.5, 0.9):
        assert tap_weights(fraction, interpolation).sum() == pytest.approx(1, abs=1e-6)
    weights = tap_weights(0.0, interpolation)
    np.testing.assert_allclose(weights, np.eye(len(weights))[len(weights) // 2 - 1], atol=1e-7)


def test_valid_span():
    assert valid_span(100, np.array([0.0, 3.0, -2.0])) == (2, 97)
    assert valid_span(100, np.array([2.5, -1.5, np.nan])) == (2, 97)


def test_moving_a_volume_across_planes_holds_no_further_volume():
    volume = np.random.default_rng(0).random((40, 160, 160), np.float32)
    tracemalloc.start()
    move(volume, (0.3, 1.4, -2.6))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # what is read, the same with its border repeated, the result, a few planes
    assert peak < 3.6 * volume.nbytes
