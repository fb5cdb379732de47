"""Components against numpy's singular value decomposition and against known mixtures."""

import numpy as np
import pytest

from napari_xanes import InputError, decompose, flat_field, optical_density, simulate

RNG = np.random.default_rng(21)
ENERGY = np.linspace(0, 1, 25)
PURE = np.exp(-((ENERGY - np.array([[0.2], [0.5], [0.8]])) ** 2) / 0.02)  # each nearly 0 at the others' peaks
AMOUNTS = RNG.gamma(1.0, 1.0, (3, 40, 50)) * RNG.choice([0, 1], (3, 40, 50), p=[0.4, 0.6])
MIXED = (np.einsum("kyx,ke->eyx", AMOUNTS, PURE) + RNG.normal(0, 0.01, (25, 40, 50))).astype(np.float32)


def test_pca_is_the_singular_value_decomposition():
    """On a simulated scan: spectra, maps and variances to 1e-4."""
    stack = simulate((60, 80), n_energies=30, seed=3, max_drift=0).stack
    mu = optical_density(flat_field(stack.data, stack.flat, stack.dark))
    found = decompose(mu, 3)
    table = mu.reshape(30, -1).astype(np.float64)
    mean = table.mean(axis=1)
    u, s, vt = np.linalg.svd(table - mean[:, None], full_matrices=False)
    sign = np.sign((u[:, :3] * found.spectra.T).sum(axis=0))
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    np.testing.assert_allclose(found.spectra, (u[:, :3] * sign).T, atol=1e-4)
    maps = (s[:3] * sign)[:, None] * vt[:3]
    np.testing.assert_allclose(found.maps.reshape(3, -1), maps, atol=1e-4 * np.abs(maps).max())
    np.testing.assert_allclose(found.explained, s[:3] ** 2 / (s**2).sum(), rtol=1e-4)
    left = np.sqrt((s[3:] ** 2).sum()) / np.linalg.norm(table)
    assert found.relative_error == pytest.approx(left, rel=1e-3)
    assert found.clipped == 0


def test_all_principal_components_give_the_data_back():
    found = decompose(MIXED, 25)
    back = found.mean[:, None, None] + np.einsum("kyx,ke->eyx", found.maps, found.spectra)
    np.testing.assert_allclose(back, MIXED, atol=1e-4)
    assert found.explained.sum() == pytest.approx(1) and (np.diff(found.explained) <= 0).all()


def test_signs_are_fixed():
    found = decompose(MIXED, 3)
    largest = np.abs(found.spectra).argmax(axis=1)
    assert (found.spectra[np.arange(3), largest] > 0).all()
    again = decompose(MIXED[:, ::-1], 3)  # the same pixels in another order
    np.testing.assert_allclose(again.spectra, found.spectra, atol=1e-4)


def test_offset_is_borne_in_single_precision():
    found, expected = decompose(MIXED + 100, 3), decompose(MIXED, 3)
    np.testing.assert_allclose(found.spectra, expected.spectra, atol=1e-3)
    np.testing.assert_allclose(found.explained, expected.explained, atol=1e-4)


@pytest.mark.parametrize("method", ["pca", "nmf"])
def test_threads_do_not_change_a_bit(method):
    wide = np.tile(MIXED, (1, 4, 3))
    one, three = (decompose(wide, 3, method=method, workers=w) for w in (1, 3))
    np.testing.assert_array_equal(one.maps, three.maps)
    np.testing.assert_array_equal(one.spectra, three.spectra)
    assert one.relative_error == three.relative_error


@pytest.mark.parametrize("method", ["pca", "nmf"])
def test_mask_invalid_pixels_and_lost_images(method):
    mask = np.zeros((40, 50), bool)
    mask[4:30, 6:45] = True
    mu = MIXED.copy()
    mu[6] = np.nan
    mu[3, 10, 10] = np.nan
    found = decompose(mu, 2, method=method, mask=mask)
    bad = ~mask
    bad[10, 10] = True
    assert found.maps.shape == (2, 40, 50) and found.invalid == 1
    np.testing.assert_array_equal(np.isnan(found.maps), np.broadcast_to(bad, (2, 40, 50)))
    assert np.isnan(found.spectra[:, 6]).all() and np.isnan(found.spectra).sum() == 2
    np.testing.assert_allclose(
        found.mean, np.where(np.arange(25) == 6, np.nan, mu[:, ~bad].mean(axis=1)), rtol=1e-5
    )


def test_nmf_finds_the_spectra_of_a_mixture():
    """Every spectrum is 0 where another peaks, which makes the factors unique; the noise is 1 %."""
    found = decompose(MIXED, 3, method="nmf")
    pure = PURE / PURE.mean(axis=1, keepdims=True)
    likeness = np.corrcoef(np.concatenate([found.spectra, pure]))[:3, 3:]
    assert sorted(likeness.argmax(axis=1)) == [0, 1, 2]
    assert likeness.max(axis=1).min() > 0.97
    np.testing.assert_allclose(found.spectra.mean(axis=1), 1)
    assert found.maps.min() >= 0 and found.spectra.min() >= 0
    assert found.explained.sum() == pytest.approx(1) and (np.diff(found.explained) <= 0).all()


def test_nmf_says_what_it_leaves_over():
    found = decompose(MIXED, 2, method="nmf")
    left = MIXED - np.einsum("kyx,ke->eyx", found.maps, found.spectra)
    assert found.relative_error == pytest.approx(np.linalg.norm(left) / np.linalg.norm(MIXED), rel=1e-3)
    better = decompose(MIXED, 3, method="nmf").relative_error
    assert better < 0.3 * found.relative_error


def test_nmf_counts_the_noise_below_zero_and_refuses_more():
    below = (MIXED < 0).mean()
    assert 0 < below < 0.2
    assert decompose(MIXED, 2, method="nmf").clipped == pytest.approx(below)
    with pytest.raises(
        InputError, match=r"values below zero have .* of the norm of the spectra, nmf takes 10% as noise"
    ):
        decompose(MIXED - MIXED.mean(), 2, method="nmf")


def test_a_table_and_a_volume():
    expected = decompose(MIXED, 2)
    np.testing.assert_allclose(
        decompose(MIXED.reshape(25, -1), 2).maps, expected.maps.reshape(2, -1), atol=1e-4
    )
    volume = decompose(MIXED.reshape(25, 4, 10, 50).astype(np.float64), 2)
    np.testing.assert_allclose(volume.maps, expected.maps.reshape(2, 4, 10, 50), atol=1e-4)


@pytest.mark.parametrize(
    ("mu", "n", "options", "says"),
    [
        (MIXED, 2, {"method": "ica"}, "method is 'ica', expected one of pca, nmf"),
        (MIXED, 26, {}, "n_components is 26, expected 1 to 25, because there are 25 energies"),
        (MIXED[:, :1, :3], 3, {}, "expected 1 to 2, because there are 25 energies and 3 valid pixels"),
        (MIXED, 9, {"method": "nmf"}, "expected 1 to 8, .* nmf takes at most 8"),
        (np.ones((5, 4, 4)), 1, {}, "all valid spectra are the same"),
        (MIXED, 2, {"mask": np.ones((2, 2), bool)}, r"mask has shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_decomposed_is_refused(mu, n, options, says):
    with pytest.raises(InputError, match=says):
        decompose(mu, n, **options)


@pytest.mark.parametrize("scale", [1e-6, 30, 1e6])
def test_nmf_does_not_depend_on_the_scale_of_the_data(scale):
    energy = np.linspace(8250, 8550, 61)
    edges = [
        0.5 + np.arctan((energy - e) / 1.5) / np.pi + white * np.exp(-(((energy - e - 8) / 6) ** 2))
        for e, white in ((8333, 0.4), (8337, 0.9))
    ]
    mu = np.repeat(np.stack(edges, axis=1), (60, 40), axis=1)
    mu += np.random.default_rng(0).normal(0, 0.02, mu.shape)
    one, other = (decompose(k * mu, 2, method="nmf") for k in (1, scale))
    assert one.relative_error < 0.024
    np.testing.assert_allclose(other.relative_error, one.relative_error, rtol=1e-3)
    np.testing.assert_allclose(other.spectra, one.spectra, atol=1e-3)
    np.testing.assert_allclose(other.maps / scale, one.maps, atol=1e-3)
