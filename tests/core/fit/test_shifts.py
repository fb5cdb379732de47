"""Energy shifts of references against known ones."""

import numpy as np
import pytest
from made_spectra import CENTRES, ENERGY, columns, make_references, spectrum

from napari_xanes import EnergyStack, InputError, Reference, fit_reference_shifts, fit_references
from napari_xanes._core.fit.fit import FitParams
from napari_xanes._core.fit.shifts import shifted_reference
from napari_xanes._core.runs.pipeline import run_steps


def mixture(shifts, amounts, energy=ENERGY, line=0.0):
    spectra = [spectrum(c + s, energy) for c, s in zip(CENTRES, shifts, strict=False)]
    return np.stack(spectra, axis=1) @ np.array(amounts) + line * (1 + (energy - 8330) / 200)


@pytest.mark.parametrize("shifts", [(0.3, -0.3), (0.0, 0.3), (-0.8, 0.5)])
@pytest.mark.parametrize("background", [(), (0, 1)])
def test_shifts_come_back_from_a_mean_of_noisy_pixels(shifts, background):
    """One per cent noise in each of 1000 pixels."""
    rng = np.random.default_rng(0)
    clean = mixture(shifts, (0.5, 0.5), line=0.4 if background else 0.0)
    for _ in range(10):
        mean = clean + 0.01 / np.sqrt(1000) * rng.normal(size=ENERGY.size)
        found = fit_reference_shifts(mean, ENERGY, make_references(2), background=background)
        assert np.abs(found.shifts - shifts).max() < 0.02 and not found.at_limit.any()
        assert found.rms < found.rms_before


def test_one_reference_is_found_in_a_single_noisy_spectrum():
    rng = np.random.default_rng(1)
    energy = np.arange(8310, 8400, 0.5)
    errors, sigmas = [], []
    for _ in range(40):
        mu = spectrum(CENTRES[0] + 0.3, energy) + 0.01 * rng.normal(size=energy.size)
        found = fit_reference_shifts(mu, energy, [fine_reference(0)])
        errors.append(found.shifts[0] - 0.3)
        sigmas.append(found.sigma[0])
    assert np.sqrt(np.mean(np.square(errors))) < 0.02
    assert np.std(errors) == pytest.approx(np.mean(sigmas), rel=0.35)


def fine_reference(i):
    energy = np.arange(8290, 8430, 0.25)
    return Reference(f"ref{i}", energy, spectrum(CENTRES[i], energy))


def test_invariants_of_scale_and_precision():
    mu = mixture((0.3, -0.2), (0.4, 0.6), ENERGY)
    found = fit_reference_shifts(mu, ENERGY, make_references(2))
    for same in (1e4 * mu, 1e-4 * mu, mu.astype(np.float32)):
        np.testing.assert_allclose(
            fit_reference_shifts(same, ENERGY, make_references(2)).shifts, found.shifts, atol=2e-4
        )
    holed = mu.copy()
    holed[[3, 20]] = np.nan
    np.testing.assert_allclose(
        fit_reference_shifts(holed, ENERGY, make_references(2)).shifts, found.shifts, atol=0.01
    )


def test_limit_and_absent_references_are_said():
    found = fit_reference_shifts(mixture((1.5, 0), (0.5, 0.5)), ENERGY, make_references(2), limit=0.5)
    assert found.at_limit[0] and found.shifts[0] == pytest.approx(0.5, abs=1e-3) and np.isnan(found.sigma[0])
    mu = mixture((0.2, 0.0), (1.0, -0.3), ENERGY)
    found = fit_reference_shifts(mu, ENERGY, make_references(2), constraint="nonnegative", limit=0.3)
    assert np.isnan(found.shifts[1]) and np.isnan(found.sigma[1]) and found.coefficients[1] < 1e-5


@pytest.mark.parametrize("shift", [0.4, -0.4])
def test_shifted_reference_still_covers_its_range(shift):
    reference = make_references(1)[0]
    moved = shifted_reference(reference, shift)
    inside = slice(2, -2)
    np.testing.assert_allclose(
        np.interp(ENERGY[inside] + shift, moved.energy, moved.mu), reference.mu[inside], atol=1e-12
    )
    assert moved.energy[0] <= ENERGY[0] and moved.energy[-1] >= ENERGY[-1]
    assert f"shifted by {shift:+.3f} eV" in moved.notes
    assert shifted_reference(reference, 0.0) is reference


def test_fit_takes_shifts_by_name_or_in_order():
    mu = np.repeat(mixture((0.5, -0.5), (0.4, 0.6), ENERGY)[:, None], 4, axis=1)
    plain = fit_references(mu, ENERGY, make_references(2))
    listed = fit_references(mu, ENERGY, make_references(2), reference_shifts=[0.5, -0.5])
    named = fit_references(mu, ENERGY, make_references(2), reference_shifts={"ref1": -0.5, "ref0": 0.5})
    np.testing.assert_array_equal(listed.coefficients, named.coefficients)
    assert abs(listed.fractions[0, 0] - 0.4) < 0.3 * abs(plain.fractions[0, 0] - 0.4)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_fits_shifts_once_and_keeps_them(files, in_memory):
    rng = np.random.default_rng(4)
    shares = rng.uniform(0, 1, 40 * 50)
    spectra = np.stack([spectrum(c + s) for c, s in zip(CENTRES, (0.4, -0.3), strict=False)], axis=1)
    mu = spectra @ np.stack([shares, 1 - shares]) + 0.01 * rng.normal(size=(ENERGY.size, shares.size))
    stack = EnergyStack(mu.astype(np.float32).reshape(-1, 40, 50), ENERGY, "normalized")
    steps = [("fit", FitParams(references=files, shift_references=True, constraint="nonnegative"))]
    result = run_steps(stack, steps, in_memory=in_memory)
    params = result.history[-1]["params"]
    np.testing.assert_allclose(params["reference_shifts"], [0.4, -0.3], atol=0.03)
    assert not params["shift_references"] and len(result.history[-1]["found"]["reference_shift_sigma"]) == 2
    again = run_steps(stack, [("fit", FitParams(**params))], in_memory=not in_memory)
    for name, data in result.maps.items():
        np.testing.assert_array_equal(again.maps[name], data, err_msg=name)
    plain = run_steps(stack, [("fit", FitParams(references=files))])

    def error(r):
        return np.sqrt(np.mean((r.maps["fraction_ref0"].ravel() - shares) ** 2))

    assert error(result) < 0.6 * error(plain)


def test_step_shifts_references_that_are_shorter_than_the_scan(files):
    energy = np.r_[8280.0, ENERGY, 8450.0]
    mu = np.repeat(mixture((0.4, -0.3), (0.5, 0.5), energy)[:, None], 12, axis=1).reshape(-1, 3, 4)
    step = ("fit", FitParams(references=files, shift_references=True, extrapolate="hold"))
    result = run_steps(EnergyStack(mu, energy, "normalized"), [step])
    np.testing.assert_allclose(result.history[-1]["params"]["reference_shifts"], [0.4, -0.3], atol=0.03)
    overlap = (step[0], step[1].model_copy(update={"extrapolate": None}))
    result = run_steps(EnergyStack(mu, energy, "normalized"), [overlap])
    np.testing.assert_allclose(result.history[-1]["params"]["reference_shifts"], [0.4, -0.3], atol=0.03)
    assert any("cover no more" in text for text in result.warnings)


def test_misuse_is_said(files):
    with pytest.raises(InputError, match=r"expected one spectrum \(E,\)"):
        fit_reference_shifts(columns(2), ENERGY, make_references(2))
    with pytest.raises(InputError, match="limit is 0, expected an energy above 0 eV"):
        fit_reference_shifts(spectrum(8333), ENERGY, make_references(2), limit=0)
    with pytest.raises(InputError, match="4 energies are too few"):
        fit_reference_shifts(spectrum(8333)[:4], ENERGY[:4], make_references(2))
    with pytest.raises(InputError, match=r"reference 'ref0' covers 8300\.00 to 8415\.00 eV"):
        fit_reference_shifts(spectrum(8333, ENERGY + 20), ENERGY + 20, make_references(1))
    stack = EnergyStack(mixture((0, 0), (1, 1), ENERGY)[:, None, None], ENERGY, "normalized")
    both = FitParams(references=files, shift_references=True, reference_shifts=(0.1, 0.1))
    with pytest.raises(InputError, match="leave one of them out"):
        run_steps(stack, [("fit", both)])
