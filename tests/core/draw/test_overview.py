"""The overview picture: drawn whole, without a screen, of whatever maps there are."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from napari_xanes import InputError, Result
from napari_xanes._core.draw.overview import save_overview


def make_result(names, shape=(30, 40), **changes):
    rng = np.random.default_rng(0)
    maps = {name: rng.random(shape).astype(np.float32) for name in names}
    info = {n: {"kind": n.split("_")[0], "unit": "", "reference": n.split("_")[-1]} for n in names}
    return Result(maps, info, np.array([8300.0, 8333.0, 8400.0]), (), {}, name="scan", **changes)


@pytest.mark.parametrize("shape", [(30, 40), (3, 30, 40)])
def test_fractions_and_invalid_pixels_are_seen(tmp_path, shape):
    result = make_result(["fraction_a", "fraction_b", "thickness", "error"], shape, pixel_size_um=0.1)
    result.maps["fraction_a"][..., :10, :] = np.nan
    save_overview(result, tmp_path / "a.png")
    picture = imread(tmp_path / "a.png")
    assert picture.shape[0] > 300 and picture.shape[1] > 1200
    spread = picture[..., :3].std(axis=-1)
    assert (spread > 0.1).mean() > 0.1, "colours are drawn"
    grey = np.abs(picture[..., :3] - 0.82).max(axis=-1) < 0.01
    assert 0.005 < grey.mean() < 0.3, "invalid pixels are grey"


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_maps_without_any_contrast_are_drawn(tmp_path, value):
    result = make_result(["fraction_a", "thickness", "error"])
    for data in result.maps.values():
        data[:] = value
    save_overview(result, tmp_path / "a.png")
    assert imread(tmp_path / "a.png").size > 0


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(InputError, match="scan holds no fraction"):
        save_overview(make_result(["sigma_a"]), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
