"""What is no misfit is not called one, and what is one is not given a wrong name."""

import numpy as np
import pytest
from made_spectra import CENTRES, spectrum
from scipy.ndimage import gaussian_filter, shift

from napari_xanes import EnergyStack, Recipe, Reference, fit_references, read_stack, run_recipe
from napari_xanes._demo import prepare

FINE = np.arange(8200.0, 8601.0, 0.25)
ENERGY = np.r_[np.linspace(8225, 8318, 9), np.linspace(8325, 8362, 30), np.linspace(8385, 8575, 11)]
REFERENCES = [Reference(name, FINE, spectrum(at, FINE)) for name, at in zip("abc", CENTRES, strict=False)]
SHAPE = (64, 70)


def fitted(density, references=REFERENCES[:2]):
    return fit_references(density, ENERGY, references, background=(0, 1))


def smooth(rng, size=4.0, shape=SHAPE):
    image = gaussian_filter(rng.normal(size=shape), size, mode="wrap")
    return image / image.std()


def density_of(fractions, thickness, spectra=None):
    """Return optical density (E, y, x) of mixtures, with a pre-edge that goes with the thickness."""
    spectra = [np.interp(ENERGY, FINE, r.mu) for r in REFERENCES] if spectra is None else spectra
    mixed = np.einsum("ke,kyx->eyx", np.stack(spectra)[: len(fractions)], fractions)
    return thickness * (mixed + 0.3 * (ENERGY[:, None, None] / 8340) ** -2.8) + 0.1


def two(rng):
    f = np.clip(0.5 + 0.25 * smooth(rng), 0, 1)
    return np.stack([f, 1 - f]), np.clip(0.8 + 0.3 * smooth(rng, 5), 0.2, 2)


def test_the_demo_s_own_recipe_gives_no_alarm(tmp_path):
    _, scan, recipe = prepare(tmp_path)
    result = run_recipe(Recipe.load(recipe), read_stack(scan), in_memory=False)
    assert result.extra["diagnosis"].causes == ()
    assert result.warnings == ()


def recipe_of(tmp_path, references, *steps, **fit):
    table = np.column_stack([references[0].energy, *(r.mu for r in references)])
    np.savetxt(tmp_path / "references.txt", table, header="energy " + " ".join(r.name for r in references))
    step = {"do": "fit", "references": [str(tmp_path / "references.txt")], **fit}
    return Recipe.from_dict({"schema": 1, "step": [*steps, step]})


RAW = [{"do": "flat_field"}, {"do": "optical_density"}]
NORMALIZED = [{"do": "normalize"}]


@pytest.fixture(scope="module")
def phantom(data_dir, tmp_path_factory):
    """The phantom of nickel, and a step that aligns it as was measured once."""
    stack = read_stack(data_dir / "phantom_ni_2d" / "ni_txm_raw.h5")
    aligned = run_recipe(Recipe.from_dict({"schema": 1, "step": [*RAW, {"do": "align"}]}), stack)
    path = tmp_path_factory.mktemp("phantom") / "drift.json"
    aligned.extra["drift"].save(path)
    return stack, {"do": "align", "drift": str(path)}


@pytest.mark.parametrize("steps", [[], NORMALIZED, [{"do": "normalize", "slope": "shared"}]])
def test_the_unaligned_phantom_does_not_blame_a_missing_reference(data_dir, phantom, steps):
    stack, aligning = phantom
    files = [str(data_dir / "refs" / "ni" / f"ref_{name}.txt") for name in ("LiNiO2", "NiO")]
    fit = {"do": "fit", "references": files, "background": [] if steps else [0, 1]}
    if steps:
        fit["references_as"] = "data"
    said = {}
    for name, align in (("as measured", []), ("aligned", [aligning])):
        result = run_recipe(Recipe.from_dict({"schema": 1, "step": [*RAW, *align, *steps, fit]}), stack)
        said[name] = result.extra["diagnosis"].causes
    assert said == {"as measured": ("alignment",), "aligned": ()}


@pytest.mark.parametrize("references_as", ["given", "data"])
def test_thin_pixels_of_the_iron_phantom_hold_no_negative_amounts(data_dir, references_as):
    """Its beam errs by 0.08 %, which moves nothing; where there is little iron, the lines before and after the edge are noise."""
    stack = read_stack(data_dir / "phantom_fe_4ref" / "absorbance.tif")
    library = str(data_dir / "refs" / "fe" / "FeLibNov2021.nor")
    names = ["LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP"]
    fit = {"do": "fit", "references": [library], "names": names, "references_as": references_as}
    result = run_recipe(Recipe.from_dict({"schema": 1, "step": [*NORMALIZED, fit]}), stack)
    found = result.extra["diagnosis"]
    assert found.causes == ()
    assert found.clearly_negative < 0.01 * found.pixels  # by chance 0.13 % of each of the four
    assert not any("negative" in text for text in result.warnings)


def bounded_fit(n, told, below=0.0, share=1.0):
    """Fit 4 references, one of them present, another below zero by some standard errors in a share of the pixels."""
    energy = np.r_[np.linspace(8225, 8318, n // 5), np.linspace(8325, 8362, n - 2 * (n // 5))]
    energy = np.r_[energy, np.linspace(8385, 8575, n // 5)]
    references = [Reference(name, FINE, spectrum(at, FINE)) for name, at in zip("abcd", CENTRES, strict=True)]
    spectra = np.stack([np.interp(energy, FINE, r.mu) for r in references])
    columns = np.c_[np.ones(n), energy - 8400, spectra.T]
    error = 0.02 * np.sqrt(np.linalg.inv(columns.T @ columns)[3, 3])
    rng = np.random.default_rng(0)
    parts = np.zeros((4, *SHAPE))
    parts[0], parts[1] = 1, -below * error * (rng.random(SHAPE) < share)
    density = np.einsum("ke,kyx->eyx", spectra, parts) + rng.normal(0, 0.02, (n, *SHAPE))
    noise = 0.02 if told else None
    return fit_references(
        density, energy, references, constraint="nonnegative", background=(0, 1), noise=noise
    )


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("n", [12, 16, 40])
def test_references_that_are_absent_are_not_said_to_be_negative(n, told):
    fit = bounded_fit(n, told)
    found = fit.diagnosis
    assert found.clearly_negative < 0.009 * found.pixels  # 4 x 0.13 % by chance
    assert fit.warnings == ()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("n", [16, 20, 40])
def test_amounts_that_are_clearly_negative_are_counted(n, told):
    everywhere = bounded_fit(n, told, below=4).diagnosis
    assert 0.8 < everywhere.clearly_negative / everywhere.pixels < 0.9  # 84 % of a normal distribution
    fit = bounded_fit(n, told, below=5, share=0.3)
    assert 0.28 < fit.diagnosis.clearly_negative / fit.diagnosis.pixels < 0.32
    assert any("clearly negative" in text for text in fit.warnings)


def test_displaced_frames_are_named_with_their_size():
    rng = np.random.default_rng(3)
    density = density_of(*two(rng))
    moved = rng.normal(0, 0.6, (ENERGY.size, 2))
    displaced = np.stack([shift(frame, d, mode="nearest") for frame, d in zip(density, moved, strict=True)])
    for noise in (0.003, 0.03):
        fit = fitted(displaced + rng.normal(0, noise, density.shape))
        assert fit.diagnosis.causes == ("alignment",)
        size = fit.diagnosis.sizes[0] / (0.6 * np.sqrt(2))  # too large by what else absorbs before the edge
        assert 0.8 < size < 1.6
        assert "frames seem to be displaced" in fit.warnings[0]


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("uniform", [True, False])
def test_references_that_are_wrong_alike_in_all_pixels_are_not_flicker(left, uniform):
    """A sample of one compound, that is not among the references."""
    rng = np.random.default_rng(1)
    _, thickness = two(rng)
    if uniform:
        thickness[:] = 0.8
    density = density_of(np.ones((1, *SHAPE)), thickness, [np.interp(ENERGY, FINE, REFERENCES[left].mu)])
    others = [r for k, r in enumerate(REFERENCES) if k != left]
    fit = fitted(density + rng.normal(0, 0.004, density.shape), others[:1])
    assert "flicker" not in fit.diagnosis.causes
    assert set(fit.diagnosis.causes) & {"missing reference", "unclear", "energy shift"}


def test_a_wrong_compound_everywhere_is_said_to_be_alike_in_all_pixels():
    rng = np.random.default_rng(1)
    _, thickness = two(rng)
    strange = REFERENCES[0].mu + 0.3 * np.exp(-(((FINE - 8346) / 2.0) ** 2))
    density = density_of(np.ones((1, *SHAPE)), thickness, [np.interp(ENERGY, FINE, strange)])
    fit = fitted(density + rng.normal(0, 0.004, density.shape))
    assert fit.diagnosis.causes[0] == "missing reference" and fit.diagnosis.alike
    assert "seems to be missing or wrong" in fit.warnings[0] and "alike in all pixels" in fit.warnings[0]


def counts_of(density, counts, rng):
    return -np.log(np.maximum(rng.poisson(counts * np.exp(-density)), 1) / counts)


@pytest.mark.parametrize("counts", [300, 3000, 100_000])
@pytest.mark.parametrize("steps", [[], NORMALIZED])
def test_noise_that_is_uneven_is_noise(tmp_path, counts, steps):
    """Photons counted behind a sample that absorbs, in frames of uneven exposure."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        exposure = np.where(rng.random((ENERGY.size, 1, 1)) < 0.2, 0.2, 1.0)
        density = counts_of(density_of(*two(rng)), counts * exposure, rng)
        stack = EnergyStack(density.astype(np.float32), ENERGY, "optical_density")
        options = {"references_as": "data"} if steps else {"background": [0, 1]}
        result = run_recipe(recipe_of(tmp_path, REFERENCES[:2], *steps, **options), stack)
        assert set(result.extra["diagnosis"].causes) <= {"thickness"}, seed  # -ln of few counts is curved
        assert counts < 1000 or result.extra["diagnosis"].causes == ()


@pytest.mark.parametrize("n", [12, 30])
def test_noise_of_two_steps_over_the_energies_is_noise(n):
    """Four times the variance after the edge, where hardly any energy is free of the fit."""
    energy = np.linspace(8225, 8575, n)
    references = [Reference(r.name, energy, np.interp(energy, FINE, r.mu)) for r in REFERENCES[:2]]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        fractions, thickness = two(rng)
        density = thickness * np.einsum("ke,kyx->eyx", np.stack([r.mu for r in references]), fractions)
        noise = np.where(energy > 8340, 0.02, 0.01)[:, None, None]
        density += noise * rng.normal(size=density.shape)
        fit = fit_references(density, energy, references, background=(0, 1))
        assert fit.diagnosis.causes == (), seed


def test_moved_frames_share_noise_between_pixels_which_is_not_structure():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, (ENERGY.size, *SHAPE))
    noise = np.stack([shift(frame, rng.uniform(-1, 1, 2), order=1, mode="wrap") for frame in noise])
    fit = fitted(density_of(*two(rng)) + noise)
    assert fit.diagnosis.causes == ()
