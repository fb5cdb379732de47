"""A beam that flickers, put right from where there is no sample; energies at which it jumps are named."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import EnergyStack, InputError, suspect_energies
from napari_xanes._core.prepare.internal_i0 import InternalI0Params
from napari_xanes._core.runs.pipeline import run_steps

N = 40
ENERGY = 8300 + np.arange(N, dtype=float)
RNG = np.random.default_rng(7)


def scan(signal="counts"):
    density = np.zeros((N, 50, 60), np.float32)
    edge = 1 / (1 + np.exp(-(ENERGY - 8320)))
    density[:, 20:40, 10:50] = (0.2 + edge)[:, None, None]
    beam = 1000 * (1 + 0.3 * np.sin(np.arange(N))) if signal == "counts" else 1 + 0.1 * np.sin(np.arange(N))
    values = beam[:, None, None] * np.exp(-density)
    if signal == "optical_density":
        values = -np.log(values)
    return EnergyStack(values.astype(np.float32), ENERGY, signal), density


@pytest.mark.parametrize("signal", ["counts", "transmission", "optical_density"])
@pytest.mark.parametrize("given", [{"roi": (0, 10, 0, 60)}, {}])
@pytest.mark.parametrize("in_memory", [True, False])
def test_absorption_comes_out_without_flats(signal, given, in_memory):
    stack, density = scan(signal)
    steps = [("internal_i0", InternalI0Params(**given))]
    result = run_steps(stack, steps, keep_stack=True, in_memory=in_memory)
    out = result.stack.data if signal == "optical_density" else -np.log(result.stack.data)
    np.testing.assert_allclose(out, density, atol=2e-5)
    assert result.stack.signal == ("optical_density" if signal == "optical_density" else "transmission")
    assert len(result.history[-1]["found"]["level"]) == N


def test_frames_without_light_are_invalid_and_said():
    stack, _ = scan()
    stack.data[5] = 0
    result = run_steps(stack, [("internal_i0", InternalI0Params(roi=(0, 10, 0, 60)))], keep_stack=True)
    assert np.isnan(result.stack.data[5]).all() and np.isfinite(result.stack.data[6]).all()
    assert any("1 of 40 frames show no light" in text for text in result.warnings)


def test_it_says_where_it_does_not_belong():
    stack, density = scan()
    with pytest.raises(InputError, match="put flat_field before it"):
        run_steps(stack.replace(flat=np.ones((50, 60))), [("internal_i0", InternalI0Params())])
    with pytest.raises(InputError, match="before normalize"):
        run_steps(EnergyStack(density, ENERGY, "normalized"), [("internal_i0", InternalI0Params())])
    dark = EnergyStack(np.zeros((N, 20, 20)), ENERGY, "counts")
    with pytest.raises(InputError, match="no light at any energy"):
        run_steps(dark, [("internal_i0", InternalI0Params(roi=(0, 5, 0, 5)))])


def test_a_beam_that_jumps_is_told_from_one_that_drifts():
    level = 1000 * np.exp(-np.arange(80) / 100) * (1 + RNG.normal(0, 0.003, 80))
    assert not suspect_energies(level).any()
    level[30] *= 0.8
    level[50:52] *= 1.1
    assert np.flatnonzero(suspect_energies(level)).tolist() == [30, 50, 51]
    level[[0, 79]] *= 0.9
    assert {0, 79} <= set(np.flatnonzero(suspect_energies(level)).tolist())
    level[10] = np.nan
    assert suspect_energies(level)[10]


def test_a_refill_of_the_ring_is_not_a_jump():
    level = np.where(np.arange(60) < 30, 800.0, 1000.0) * (1 + RNG.normal(0, 0.003, 60))
    assert not suspect_energies(level).any()


def test_flats_that_jump_are_named():
    flat = np.full((N, 30, 30), 1000, np.float32) + RNG.normal(0, 5, (N, 30, 30)).astype(np.float32)
    flat[12] *= 0.6
    counts = flat * 0.5
    stack = EnergyStack(counts, ENERGY, "counts", flat=flat)
    from napari_xanes._core.prepare.flat_field import FlatFieldParams

    result = run_steps(stack, [("flat_field", FlatFieldParams())], keep_stack=True)
    assert result.history[-1]["found"]["suspect_energies"] == [8312.0]
    assert any("8312.00 eV" in text for text in result.warnings)
    np.testing.assert_allclose(result.stack.data, 0.5, rtol=1e-5)


@pytest.mark.parametrize("n", [2, 12, 61])
def test_a_steady_beam_of_few_counts_stays_steady(n):
    y, x = np.mgrid[:150, :160]
    disc = (y - 75) ** 2 + (x - 80) ** 2 < 45**2
    beam = 100 * (1 + 0.02 * (x - 80) / 80)  # the brightest part is a little brighter
    counts = np.random.default_rng(0).poisson(beam * np.exp(-0.8 * disc), (n, *disc.shape))
    stack = EnergyStack(counts.astype(np.float32), 8300.0 + np.arange(n), "counts")
    level = np.array(
        run_steps(stack, [("internal_i0", InternalI0Params(share=0.1))]).history[0].facts["level"]
    )
    assert 99.5 < level.mean() < 102
    assert level.std() < 3 * np.sqrt(100 / (0.1 * disc.size))
    assert abs(level[::2].mean() - level[1::2].mean()) < 5 * np.sqrt(100 / (0.1 * disc.size)) / np.sqrt(n / 4)
