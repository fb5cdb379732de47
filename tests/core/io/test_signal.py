"""Fluorescence is told from transmission by its rise at the edge; what is said fits it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import napari_xanes as nx

RNG = np.random.default_rng(5)
E = np.linspace(7080, 7180, 31)
STEP = 0.5 + np.arctan((E - 7120) / 1.5) / np.pi
AMOUNT = np.clip(RNG.random((48, 52)) * np.linspace(-0.8, 2, 52), 0, None)


def write(path, images, energy=E):
    tifffile.imwrite(path, images)
    return nx.read_stack(path, energy=energy)


def fluorescence(level: float, background: float) -> np.ndarray:
    return level * (background + AMOUNT * STEP[:, None, None])


def transmission(level: float, growth: float = 1.0) -> np.ndarray:
    beam = np.linspace(1, growth, E.size)[:, None, None]
    return level * beam * np.exp(-AMOUNT * (0.3 + STEP[:, None, None]))


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("level", "background"), [(30, 0.05), (4000, 0.1), (4000, 0.3)])
def test_fluorescence_counts_are_absorption(tmp_path, dtype, falling, level, background):
    images, energy = RNG.poisson(fluorescence(level, background)).astype(dtype), E
    if falling:
        images, energy = images[::-1], E[::-1]
    stack = write(tmp_path / "a.tif", images, energy)
    assert stack.signal == "optical_density"
    assert any("as fluorescence does, which needs no flats and no -ln" in text for text in stack.warnings)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("growth", [0.7, 1.0, 1.3])
def test_counts_behind_the_sample_stay_counts(tmp_path, dtype, falling, growth):
    images, energy = RNG.poisson(transmission(3000, growth)).astype(dtype), E
    if falling:
        images, energy = images[::-1], E[::-1]
    stack = write(tmp_path / "a.tif", images, energy)
    assert stack.signal == "counts" and not [text for text in stack.warnings if "fluorescence" in text]


def test_fluorescence_of_a_sample_that_fills_the_image_is_asked_about(tmp_path):
    images = RNG.poisson(4000 * (0.1 + (AMOUNT + 1) * STEP[:, None, None])).astype("u2")
    stack = write(tmp_path / "a.tif", images)
    assert stack.signal == "counts" and "as of fluorescence" in stack.warnings[0]


def test_counts_that_grow_everywhere_are_not_taken_for_fluorescence_but_asked_about(tmp_path):
    flat = RNG.poisson(np.linspace(900, 2000, E.size)[:, None, None] * np.ones((1, 48, 52))).astype("u2")
    stack = write(tmp_path / "a.tif", flat)
    assert stack.signal == "counts" and "say signal='optical_density'" in stack.warnings[0]


@pytest.mark.parametrize("falling", [False, True])
def test_maps_divided_by_the_beam_are_absorption_whichever_way_they_were_scanned(tmp_path, falling):
    images, energy = fluorescence(0.3, 0.05).astype("f4"), E
    if falling:
        images, energy = images[::-1], E[::-1]
    assert write(tmp_path / "a.tif", images, energy).signal == "optical_density"


def test_the_advice_on_counts_without_flats_names_fluorescence(tmp_path):
    stack = write(tmp_path / "a.tif", RNG.poisson(transmission(3000)).astype("u2"))
    with pytest.raises(nx.InputError, match="fluorescence is optical density here and needs no -ln"):
        nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [{"do": "flat_field"}]}), stack)
