"""What displacements cannot take back is noticed: apertures that stay put, turns, reversed contrast, straight edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import napari_xanes as nx

ENERGY = np.linspace(8300, 8400, 12)


def blobs(rng, shape=(128, 160), n=15):
    y, x = np.mgrid[: shape[0], : shape[1]]
    made = [
        (
            rng.uniform(30, shape[0] - 30),
            rng.uniform(30, shape[1] - 30),
            rng.uniform(3, 8),
            rng.uniform(0.3, 1),
        )
        for _ in range(n)
    ]
    return lambda v: sum(
        a * np.exp(-((y - b - v[0]) ** 2 + (x - c - v[1]) ** 2) / (2 * s * s)) for b, c, s, a in made
    )


def align(frames):
    stack = nx.EnergyStack(frames.astype(np.float32), ENERGY[: len(frames)], "optical_density")
    return nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [{"do": "align"}]}), stack)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fixed_aperture_does_not_hold_the_frames(seed):
    rng = np.random.default_rng(seed)
    way, image = np.cumsum(rng.normal(0, 1, (12, 2)), 0), blobs(rng)
    covered = np.ones((128, 160), bool)
    covered[10:-10, 10:-10] = False
    frames = np.stack([np.where(covered, 2, image(v)) for v in way]) + rng.normal(0, 0.02, (12, 128, 160))
    result = align(frames)
    error = result.extra["drift"].shifts - (way - way[-1])
    assert np.sqrt((error**2).mean()) < 0.1
    assert any("stays put, as an aperture does" in text for text in result.warnings)
    y0, y1, x0, x1 = result.history[0]["found"]["opening"]
    assert 10 <= y0 < y1 <= 118 and 10 <= x0 < x1 <= 150


def test_without_an_aperture_all_is_looked_at():
    rng = np.random.default_rng(3)
    way, image = np.cumsum(rng.normal(0, 1, (12, 2)), 0), blobs(rng)
    frames = np.stack([image(v) for v in way]) + rng.normal(0, 0.02, (12, 128, 160))
    result = align(frames)
    assert not result.warnings and "opening" not in result.history[0]["found"]


def test_a_turning_sample_is_noticed_and_the_remedy_named():
    image = blobs(np.random.default_rng(1), n=25)((0, 0))
    rng = np.random.default_rng(0)
    frames = np.stack([ndimage.rotate(image, 0.4 * i, reshape=False, order=3) for i in range(12)])
    result = align(frames + rng.normal(0, 0.02, frames.shape))
    assert any("the sample turns" in text and "transform = 'rigid'" in text for text in result.warnings)
    assert 1 < result.history[0]["found"]["turned_degrees"] < 6


def test_reversed_contrast_is_noticed_and_the_remedy_helps():
    rng = np.random.default_rng(2)
    way, image = np.cumsum(rng.normal(0, 1, (12, 2)), 0), blobs(rng)
    sign = np.where(np.arange(12) < 3, -1, 1)
    frames = np.stack([s * image(v) for s, v in zip(sign, way, strict=True)])
    frames += rng.normal(0, 0.02, frames.shape)
    result = align(frames)
    said = next(text for text in result.warnings if "bright and dark are exchanged" in text)
    assert said.startswith("in 3 of 12 frames") and "on = 'gradient'" in said
    found = nx.estimate_drift(frames, on="gradient").shifts - (way - way[-1])
    assert np.sqrt((found**2).mean()) < 0.2


def test_confidence_is_lower_where_a_direction_is_not_told():
    rng = np.random.default_rng(0)
    x, way = np.mgrid[:128, :160][1], np.cumsum(rng.normal(0, 1, (12, 2)), 0)
    bar = np.stack([1 / (1 + np.exp(-(x - 80 - v[1]) / 1.5)) for v in way]) + rng.normal(
        0, 0.02, (12, 128, 160)
    )
    drift = nx.estimate_drift(bar)
    assert (drift.confidence <= 0.5).all() and drift.outliers().size >= 11
    assert np.isinf(drift.sigma[:-1, 0]).all() and (drift.sigma[:, 1] < 0.1).all()
