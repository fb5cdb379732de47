"""Optical density against its formula, as a function and as a step."""

import numpy as np
import pytest
from carry_out import carry_out

from napari_xanes import EnergyStack, optical_density
from napari_xanes._core.data.history import Entry
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.prepare.optical_density import OPTICAL_DENSITY

T = np.random.default_rng(3).uniform(0.01, 1.2, (4, 9, 11))
ENERGY = [8300.0, 8310, 8320, 8330]


def test_is_minus_the_logarithm_and_leaves_its_input():
    before = T.copy()
    found = optical_density(T)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, -np.log(T), rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(T, before)


def test_single_precision_input_is_not_written_to():
    values = T.astype(np.float32)
    optical_density(values)
    np.testing.assert_array_equal(values, T.astype(np.float32))


@pytest.mark.parametrize("value", [0.0, -0.1, np.nan, np.inf])
def test_what_has_no_logarithm_is_nan_alone(value):
    spoiled = T.copy()
    spoiled[1, 2, 3] = value
    bad = np.isnan(optical_density(spoiled))
    assert bad[1, 2, 3] and bad.sum() == 1


def test_products_become_sums():
    np.testing.assert_allclose(optical_density(T * 0.5), optical_density(T) + np.log(2), atol=1e-6)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_gives_the_functions_numbers(in_memory):
    chain = Chain(EnergyStack(T, ENERGY, "transmission"), in_memory=in_memory)
    found = carry_out(OPTICAL_DENSITY, chain)
    assert found.entry == Entry("optical_density") and chain.signal == "optical_density"
    expected = optical_density(T)
    np.testing.assert_array_equal(chain.read(2, slice(3, 5)), expected[2, 3:5])
    np.testing.assert_array_equal(chain.run(keep_stack=True), expected)


@pytest.mark.parametrize("signal", ["optical_density", "normalized"])
def test_step_never_takes_the_logarithm_twice(signal):
    chain = Chain(EnergyStack(T, ENERGY, signal))
    found = carry_out(OPTICAL_DENSITY, chain)
    assert "already" in found["skipped"] and chain.signal == signal
    np.testing.assert_array_equal(chain.read(0, slice(None)), T[0].astype(np.float32))


def test_step_warns_where_counts_were_not_divided():
    found = carry_out(OPTICAL_DENSITY, Chain(EnergyStack(T, ENERGY, "counts")))
    assert "not divided by a flat" in found.warnings[0]


def test_step_warns_where_many_values_show_no_light():
    """As with the darks of another scan, above the counts."""
    values = T.copy()
    values[:, :3] = -0.01
    chain = Chain(EnergyStack(values, ENERGY, "transmission"))
    found = carry_out(OPTICAL_DENSITY, chain)
    assert "33 % of the values show no light and are invalid" in found.warnings[0]
    chain = Chain(EnergyStack(T, ENERGY, "transmission"))
    assert not carry_out(OPTICAL_DENSITY, chain).warnings
