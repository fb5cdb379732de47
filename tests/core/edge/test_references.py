"""References must come out as the data of the same compound do, whatever the variant."""

import numpy as np
import pytest
from carry_out import carry_out

from napari_xanes import (
    EnergyStack,
    InputError,
    Reference,
    fit_references,
    normalize_edge,
    normalize_references,
)
from napari_xanes._core.edge.handover import normalization_of
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.edge.step import NORMALIZE
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.concatenate(
    [np.arange(8220, 8320, 5), np.arange(8320, 8370, 1), np.arange(8370, 8580, 6)]
).astype(float)
GIVEN = {"e0": 8333.0, "pre_edge": (8220.0, 8312.0), "post_edge": (8392.0, 8574.0)}

VARIANTS = [
    {},
    {"divide_by": "step"},
    {"divide_by": "step", "flatten": True, "post_order": 2},
    {"pre": "victoreen", "post_order": 2},
    {"pre": "constant", "post_order": 0},
    {"divide_by": "post"},
    {"divide_by": "area"},
    {"slope": "shared", "gate": 3.0},
]


def named(variant):
    return "-".join(str(value) for value in variant.values()) or "default"


def compound(energy, e0, height):
    """A measured spectrum: its edge on a falling background, bent above."""
    x = energy - 8333
    edge = 0.5 + np.arctan((energy - e0) / 1.2) / np.pi + height * np.exp(-(((energy - e0 - 6) / 3) ** 2))
    return 0.3 * (energy / 8333) ** -3 + edge * (1 - 4e-4 * x + 6e-7 * x**2)


COMPOUNDS = [
    Reference(n, ENERGY, compound(ENERGY, e0, h)) for n, e0, h in (("Ni", 8333, 0.1), ("NiO", 8338, 0.8))
]


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_a_reference_at_the_datas_energies_is_what_its_pixel_is(variant):
    mu = np.stack([r.mu for r in COMPOUNDS], axis=1)
    if "slope" in variant:
        mu = mu[:, [0] * 10]  # slopes shared with its like
    data = normalize_edge(mu, ENERGY, **GIVEN, **variant)
    before = COMPOUNDS[0].mu.copy()
    found = normalize_references(COMPOUNDS[:1], data)[0]
    np.testing.assert_array_equal(COMPOUNDS[0].mu, before)
    assert found.name == "Ni" and "normalised as the data: e0 8333 eV" in found.notes[-1]
    np.testing.assert_allclose(found.mu, data.normalized[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.energy, ENERGY)


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_fractions_are_right_with_references_measured_elsewhere(variant):
    """A finer, longer scan of the references: with the variant applied to both, mixtures give their fractions."""
    fine = np.concatenate([np.arange(8200, 8320, 2), np.arange(8320, 8400, 0.25), np.arange(8400, 8650, 4)])
    share, thickness = np.linspace(0, 1, 21), np.linspace(0.5, 2, 21)
    mu = np.stack([r.mu for r in COMPOUNDS], axis=1) @ (np.stack([1 - share, share]) * thickness)
    data = normalize_edge(mu, ENERGY, **GIVEN, **variant)
    measured = [
        Reference(n, fine, compound(fine, e0, h)) for n, e0, h in (("Ni", 8333, 0.1), ("NiO", 8338, 0.8))
    ]
    fit = fit_references(data.normalized, ENERGY, normalize_references(measured, data, energy=ENERGY))
    np.testing.assert_allclose(fit.fractions[1], share, atol=0.02 if "slope" in variant else 1e-3)
    if variant.get("divide_by") != "post":  # whose divisor counts where there is nothing but background, too
        own = normalize_references(measured, data)
        assert own[0].energy.size == fine.size
        np.testing.assert_allclose(
            fit_references(data.normalized, ENERGY, own).fractions[1], share, atol=0.02
        )


def test_normalising_twice_changes_nothing():
    for divide_by, tolerance in (("step", 1e-12), ("line", 2e-4)):  # which weighs the points anew
        params = NormalizeParams(divide_by=divide_by, **GIVEN)
        once = normalize_references(COMPOUNDS, params)
        np.testing.assert_allclose(normalize_references(once, params)[1].mu, once[1].mu, atol=tolerance)


def test_windows_end_where_the_reference_ends():
    short = ENERGY[(ENERGY > 8270) & (ENERGY < 8480)]
    reference = Reference("short", short, compound(short, 8333, 0.2))
    found = normalize_references([reference], NormalizeParams(**GIVEN))[0]
    assert "8275 to 8312 eV" in found.notes[-1] and "8392 to 8478 eV" in found.notes[-1]
    alone = normalize_edge(reference.mu, short, e0=8333, pre_edge=(8270, 8312), post_edge=(8392, 8480))
    np.testing.assert_allclose(found.mu, alone.normalized, rtol=1e-12)


def test_energies_far_away_where_the_divisor_turns_negative_are_left_out():
    far = np.arange(8220, 9500, 4.0)
    mu = np.where(far < 8333, 0, 1 - 2e-3 * (far - 8333) * (far < 8600) + (far >= 8600) * 0)
    found = normalize_references([Reference("far", far, mu)], NormalizeParams(**GIVEN))[0]
    assert found.energy[-1] == 8832 and np.isfinite(found.mu).all()
    assert "166 of 320 energies, where the divisor is not positive, were left out" in found.notes[-1]


@pytest.mark.parametrize(
    ("reference", "params", "said"),
    [
        (
            ENERGY > 8325,
            {},
            "reference 'x' covers 8326.00 to 8574.00 eV and has 0 energies in the data's pre_edge",
        ),
        (ENERGY < 8394, {"post_order": 2}, "has 0 energies in the data's post_edge .* at least 3 are needed"),
        (ENERGY < 8500, {"divide_by": "area"}, "not the whole area_range"),
        (ENERGY > 0, {"divide_by": "step", "sign": -1}, "reference 'x' shows no edge step at 8333 eV"),
    ],
)
def test_a_reference_that_cannot_be_normalised_is_named(reference, params, said):
    params = dict(params)
    mu = params.pop("sign", 1) * compound(ENERGY, 8333, 0.2)
    with pytest.raises(InputError, match=said):
        normalize_references(
            [Reference("x", ENERGY[reference], mu[reference])], NormalizeParams(**GIVEN, **params)
        )


def test_what_is_no_normalisation_or_no_reference_is_said():
    with pytest.raises(InputError, match="what normalize_edge returned"):
        normalize_references(COMPOUNDS, {"e0": 8333})
    with pytest.raises(InputError, match="must be those that the data were normalised with"):
        normalize_references(COMPOUNDS, NormalizeParams(e0=8333))
    with pytest.raises(InputError, match="references is a Reference, expected a list"):
        normalize_references(COMPOUNDS[0], NormalizeParams(**GIVEN))
    with pytest.raises(
        InputError, match=r"reference 'Ni' covers .* eV, the data .* choose a reference of the same edge"
    ):
        normalize_references(COMPOUNDS, NormalizeParams(**GIVEN), energy=[7000, 7100, 7200])
    with pytest.raises(InputError, match="flatten is for divide_by = 'step'"):
        normalize_references(COMPOUNDS, NormalizeParams(flatten=True, divide_by="line", **GIVEN))


def test_how_a_chain_was_normalised_is_known_in_this_run_and_the_next():
    mu = np.stack([r.mu for r in COMPOUNDS * 3], axis=1).reshape(-1, 2, 3).astype(np.float32)
    stack = EnergyStack(mu, ENERGY, "optical_density")
    chain = Chain(stack)
    assert normalization_of(chain) is None
    resolved = carry_out(NORMALIZE, chain, NormalizeParams(post_order=2)).resolved
    assert normalization_of(chain).params.model_dump() == resolved.model_dump() and resolved.e0 == 8333
    kept = run_steps(stack, [("normalize", NormalizeParams(post_order=2))], keep_stack=True)
    assert normalization_of(Chain(kept.stack)) == normalization_of(chain)
    assert normalization_of(Chain(EnergyStack(mu, ENERGY, "normalized"))) is None
