"""Mean spectra of regions against numpy, pixel by pixel."""

import h5py
import numpy as np
import pytest

from napari_xanes import Cancelled, EnergyStack, InputError, mean_spectra

RNG = np.random.default_rng(11)
STACK = RNG.normal(5, 1, (7, 9, 13)).astype(np.float32)
LABELS = RNG.integers(0, 4, (9, 13)) * 3  # 0, 3, 6, 9
ENERGY = np.arange(7) + 8300.0


def test_mean_spread_and_counts_of_every_label():
    found = mean_spectra(STACK, LABELS)
    np.testing.assert_array_equal(found.labels, [3, 6, 9])
    for k, label in enumerate(found.labels):
        pixels = STACK[:, label == LABELS].astype(float)
        np.testing.assert_allclose(found.spectra[k], pixels.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(found.spread[k], pixels.std(axis=1), rtol=1e-9)
        assert found.counts[k] == pixels.shape[1]
    np.testing.assert_array_equal(found.valid, np.repeat(found.counts[:, None], 7, axis=1))


def test_invalid_values_are_left_out_at_their_energy_alone():
    spoiled = STACK.copy()
    spoiled[2, LABELS == 3] = np.nan
    y, x = np.argwhere(LABELS == 6)[0]
    spoiled[4, y, x] = np.inf
    clean, found = mean_spectra(STACK, LABELS), mean_spectra(spoiled, LABELS)
    assert np.isnan(found.spectra[0, 2]) and np.isnan(found.spread[0, 2]) and found.valid[0, 2] == 0
    assert found.valid[1, 4] == found.counts[1] - 1
    others = (LABELS == 6) & (np.indices(LABELS.shape) != np.array([y, x])[:, None, None]).any(axis=0)
    assert found.spectra[1, 4] == pytest.approx(STACK[4, others].astype(float).mean(), rel=1e-12)
    same = np.ones((3, 7), bool)
    same[0, 2] = same[1, 4] = False
    np.testing.assert_array_equal(found.spectra[same], clean.spectra[same])
    np.testing.assert_array_equal(found.counts, clean.counts)


def test_a_mask_is_one_region():
    found = mean_spectra(STACK, LABELS == 6)
    np.testing.assert_array_equal(found.labels, [1])
    np.testing.assert_array_equal(found.spectra[0], mean_spectra(STACK, LABELS).spectra[1])


def test_one_pixel_has_its_spectrum_and_no_spread():
    labels = np.zeros((9, 13), np.uint8)
    labels[3, 4] = 200
    found = mean_spectra(STACK, labels)
    np.testing.assert_allclose(found.spectra[0], STACK[:, 3, 4])
    np.testing.assert_array_equal(found.spread, 0)


def test_files_stacks_and_volumes_give_the_same_numbers_on_any_number_of_threads(tmp_path):
    expected = mean_spectra(STACK, LABELS)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["data"] = STACK
        for source in (file["data"], EnergyStack(file["data"], ENERGY, "optical_density"), STACK.tolist()):
            found = mean_spectra(source, LABELS, workers=3)
            np.testing.assert_allclose(found.spectra, expected.spectra, rtol=1e-6)
            np.testing.assert_allclose(found.spread, expected.spread, rtol=1e-6)
    volume = mean_spectra(STACK.reshape(7, 3, 3, 13), LABELS.reshape(3, 3, 13), workers=1)
    np.testing.assert_array_equal(volume.spectra, expected.spectra)


def test_frames_are_read_one_at_a_time():
    class Lazy:
        shape, ndim, dtype, asked = STACK.shape, 3, STACK.dtype, []

        def __getitem__(self, key):
            self.asked.append(key)
            return STACK[key]

    lazy = Lazy()
    mean_spectra(lazy, LABELS)
    assert sorted(lazy.asked) == list(range(7))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (LABELS[:, :5], r"labels have shape \(9, 5\), the images \(9, 13\)"),
        (LABELS.astype(float), "expected whole numbers or a mask"),
        (np.zeros_like(LABELS), "0 everywhere"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, says):
    with pytest.raises(InputError, match=says):
        mean_spectra(STACK, labels)


def test_progress_counts_frames_and_cancels():
    seen = []
    mean_spectra(STACK, LABELS, progress=lambda done, total, text: seen.append((done, total)))
    assert seen[0] == (0, 7) and seen[-1] == (7, 7)

    def stop(done, total, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        mean_spectra(STACK, LABELS, progress=stop)
