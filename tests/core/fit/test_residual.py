"""Residual components: a missing reference is told from noise, at many noise levels, also for few pixels."""

import numpy as np
import pytest
import tifffile

from napari_xanes import (
    InputError,
    Reference,
    fit_references,
    flat_field,
    normalize_edge,
    optical_density,
    read_references,
    residual_components,
    simulate,
)
from napari_xanes._core.fit.noise import limit_of_noise

ENERGY = np.r_[np.linspace(8270, 8325, 12), np.linspace(8326, 8360, 35), np.linspace(8365, 8430, 14)]
SPECTRA = np.stack(
    [
        0.5 + np.arctan((ENERGY - e0) / 1.5) / np.pi + 0.5 * np.exp(-(((ENERGY - e0 - 4) / 3) ** 2))
        for e0 in (8333, 8336, 8340)
    ]
)
REFERENCES = [Reference(name, ENERGY, mu) for name, mu in zip("abc", SPECTRA, strict=True)]
TRUE_NOISE = 1 + 0.5 * (ENERGY > 8340)


def mixtures(n, noise, seed=0):
    """Return mu (E, n), noisier after the edge and in some pixels, and the fractions (3, n)."""
    rng = np.random.default_rng(seed)
    fractions = rng.dirichlet([1, 1, 1], n).T
    strength = noise * rng.uniform(0.5, 1.5, n) * TRUE_NOISE[:, None]
    return SPECTRA.T @ fractions + strength * rng.standard_normal((ENERGY.size, n)), fractions


@pytest.mark.parametrize(
    ("n", "noise"), [(10, 0.002), (20, 0.02), (50, 0.05), (200, 0.1), (2000, 0.002), (2000, 0.2)]
)
@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_reference_left_out_is_missed_and_none_otherwise(n, noise, left_out):
    for seed in range(3):
        mu, _ = mixtures(n, noise, seed)
        all_three = residual_components(mu, ENERGY, REFERENCES)
        assert not all_three.missing and all_three.n_significant == 0, seed
        assert all_three.message.startswith("nothing but noise is left by the 3 references")
        two = residual_components(mu, ENERGY, [r for k, r in enumerate(REFERENCES) if k != left_out])
        assert two.missing and two.n_significant >= 1 and two.strength[0] > two.limit, seed
        assert "a reference seems to be missing: the 2 references leave" in two.message


def test_the_component_is_what_the_others_cannot_explain():
    mu, fractions = mixtures(3000, 0.01)
    found = residual_components(mu.reshape(-1, 50, 60), ENERGY, SPECTRA[:2], slopes=False)
    assert found.n_significant == 1 and found.maps.shape == (1, 50, 60) and found.spectra.shape == (1, 61)
    weight = 1 / TRUE_NOISE
    basis = np.linalg.qr(SPECTRA[:2].T * weight[:, None])[0]
    third = SPECTRA[2] * weight
    rest = (third - basis @ (basis.T @ third)) * TRUE_NOISE
    assert found.spectra[0] @ rest / np.linalg.norm(rest) > 0.999
    assert np.corrcoef(found.maps.ravel(), fractions[2])[0, 1] > 0.97
    highest = ENERGY[found.spectra[0].argmax()]
    assert f"highest at {highest:.2f} eV" in found.message and found.smooth.tolist() == [True]
    expected = np.sqrt(np.mean(fractions[2] ** 2) * np.mean(rest**2)) / np.sqrt(np.mean(mu**2))
    assert found.share[0] == pytest.approx(expected, rel=0.05)


def test_the_noise_at_every_energy_is_found():
    mu, _ = mixtures(5000, 0.03)
    expected = 0.03 * np.sqrt(1 + 1 / 12) * TRUE_NOISE
    for references in (SPECTRA, SPECTRA[:2]):
        np.testing.assert_allclose(residual_components(mu, ENERGY, references).noise, expected, rtol=0.12)


def test_the_limit_is_reached_by_noise_once_in_a_thousand():
    rng = np.random.default_rng(0)
    p, n = 20, 300
    largest = [np.linalg.eigvalsh(y @ y.T / n)[-1] for y in rng.standard_normal((1500, p, n))]
    assert np.mean(np.array(largest) > limit_of_noise(p, n)) < 0.004
    assert limit_of_noise(p, n) < 1.12 * np.quantile(largest, 0.95)
    assert limit_of_noise(60, 1e9) == pytest.approx(1, abs=1e-3)


def test_a_fit_gives_its_references_background_and_energies():
    mu, _ = mixtures(500, 0.01)
    fit = fit_references(mu, ENERGY, REFERENCES[:2], background=(0,), energy_range=(8320, 8400))
    found = residual_components(mu, ENERGY, fit)
    listed = residual_components(mu, ENERGY, REFERENCES[:2], energy_range=(8320, 8400))
    assert found.missing and listed.missing
    np.testing.assert_allclose(found.spectra, listed.spectra, atol=1e-6)
    assert np.isnan(found.spectra[0, ENERGY < 8320]).all() and np.isfinite(found.noise).sum() == np.sum(
        (ENERGY >= 8320) & (ENERGY <= 8400)
    )


@pytest.mark.parametrize("counts", [2000, 12_000])
def test_on_simulated_counts_normalised_or_not(counts):
    """Shot noise, flicker of whole frames and the errors of normalisation are not taken for a compound."""
    sim = simulate((90, 110), seed=2, max_drift=0, counts=counts)
    energy = sim.stack.energy
    density = optical_density(flat_field(sim.stack.data, sim.stack.flat, sim.stack.dark))
    normalized = normalize_edge(density, energy).normalized
    mask = sim.thickness > 0.3
    for mu in (density, normalized):
        both = residual_components(mu, energy, sim.references, mask=mask)
        assert not both.missing, both.message
        one = residual_components(mu, energy, sim.references[:1], mask=mask)
        assert one.missing and "the one reference leaves a component above noise" in one.message


def test_frames_that_differ_as_a_whole_are_not_a_compound():
    mu, _ = mixtures(2000, 0.01)
    glitch = np.random.default_rng(8).normal(0, 0.02, (ENERGY.size, 1))
    found = residual_components(mu + glitch, ENERGY, SPECTRA)
    assert not found.missing and found.n_significant == 1 and not found.smooth[0]
    assert "frame-to-frame intensity changes remain" in found.message


def test_scale_type_order_threads_and_invalid_pixels():
    mu, _ = mixtures(600, 0.01)
    expected = residual_components(mu, ENERGY, SPECTRA[:2])
    scaled = residual_components(1000 * mu, ENERGY, SPECTRA[:2], workers=3)
    np.testing.assert_allclose(scaled.spectra, expected.spectra, atol=1e-8)
    np.testing.assert_allclose(scaled.maps, 1000 * expected.maps, atol=1e-6)
    single = residual_components(mu.astype(np.float32), ENERGY, SPECTRA[:2])
    assert single.maps.dtype == np.float32
    np.testing.assert_allclose(single.spectra, expected.spectra, atol=1e-3)
    bad = mu.copy()
    bad[5, :7] = np.nan
    bad[20] = np.nan
    found = residual_components(bad, ENERGY, SPECTRA[:2])
    assert np.isnan(found.maps[0, :7]).all() and np.isfinite(found.maps[0, 7:]).all()
    assert np.isnan(found.spectra[:, 20]).all() and found.missing


def test_without_noise_nothing_is_left():
    mu, _ = mixtures(100, 0)
    found = residual_components(mu, ENERGY, SPECTRA)
    assert found.n_significant == 0 and not found.missing and (found.maps == 0).all()
    assert residual_components(mu, ENERGY, SPECTRA[:2]).missing


@pytest.mark.parametrize(
    ("mu", "references", "options", "says"),
    [
        (mixtures(2, 0.1)[0], SPECTRA, {}, "there are 2 valid pixels and 61 energies for 8 unknowns"),
        (mixtures(50, 0.1)[0], SPECTRA, {"energy_range": (8330, 8338)}, "9 energies for 8 unknowns"),
        (mixtures(50, 0.1)[0], SPECTRA[:, :9], {}, r"references have shape \(3, 9\), expected"),
        (mixtures(50, 0.1)[0], ["a.txt"], {}, "expected a ReferenceFit or a list, each a Reference"),
        (mixtures(50, 0.1)[0], 0 * SPECTRA, {}, "a reference is zero or not finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(mu, references, options, says):
    with pytest.raises(InputError, match=says):
        residual_components(mu, ENERGY, references, **options)


def test_on_the_iron_phantom_each_reference_is_missed(whole_data):
    """Counts with an error of the beam monitor in every frame, which is not taken for a compound."""
    folder = whole_data / "phantom_fe_4ref"
    mu = tifffile.imread(folder / "absorbance.tif")
    energy = np.loadtxt(folder / "energy_eV.txt")
    references = read_references(folder / "refs_at_energies.txt")
    mask = mu[-5:].mean(axis=0) - mu[:5].mean(axis=0) > 0.2
    found = residual_components(mu, energy, references, mask=mask)
    assert not found.missing and "frame-to-frame intensity changes remain" in found.message
    for k, left_out in enumerate(references):
        rest = references[:k] + references[k + 1 :]
        assert residual_components(mu, energy, rest, mask=mask).missing, left_out.name
