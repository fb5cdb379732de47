"""Masks by limits and by Otsu's method, what can be done with them, and the step."""

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import (
    InputError,
    apply_mask,
    combine_masks,
    dilate,
    erode,
    fill_holes,
    otsu_threshold,
    remove_small,
    simulate,
    threshold_mask,
)
from napari_xanes._core.base.params import make_params
from napari_xanes._core.io.mask_file import write_mask
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.regions.mask import MaskParams
from napari_xanes._core.runs.pipeline import run_steps

IMAGE = np.array([[0.0, 1, 2], [3, np.nan, np.inf]])


@pytest.mark.parametrize(
    ("limits", "inside"),
    [
        ({"above": 1}, [[0, 1, 1], [1, 0, 1]]),
        ({"below": 2}, [[1, 1, 1], [0, 0, 0]]),
        ({"above": 1, "below": 2}, [[0, 1, 1], [0, 0, 0]]),
        ({"above": 2, "below": 2}, [[0, 0, 1], [0, 0, 0]]),
        ({"above": -np.inf}, [[1, 1, 1], [1, 0, 1]]),
        ({"above": -1e300, "below": 1e300}, [[1, 1, 1], [1, 0, 0]]),  # beyond what single precision has
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_are_inside_and_nan_is_not(limits, inside, dtype):
    mask = threshold_mask(IMAGE.astype(dtype), **limits)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, np.array(inside, bool))


def test_a_volume_of_whole_numbers():
    volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    np.testing.assert_array_equal(threshold_mask(volume, above=5, below=9.5), (volume >= 5) & (volume <= 9))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "no limit"),
        ({"above": 2, "below": 1}, r"above \(2\) is greater than below \(1\)"),
        ({"above": np.nan}, "above is nan, expected a number"),
    ],
)
def test_limits_without_sense_are_refused(limits, says):
    with pytest.raises(InputError, match=says):
        threshold_mask(IMAGE, **limits)


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="expected real numbers"):
        threshold_mask(["thick", "thin"], above=1)


@pytest.mark.parametrize("scale", [1, 1e-4, 1e5])
def test_otsu_parts_two_populations_at_any_scale(scale):
    rng = np.random.default_rng(5)
    low, high = rng.normal(0, 0.1, 5000), rng.normal(1, 0.1, 3000)
    image = np.concatenate([low, [np.nan, np.inf], high]) * scale
    found = otsu_threshold(image)
    assert isinstance(found, float)
    assert 0.3 * scale < found < 0.7 * scale
    mask = threshold_mask(image, above=found, below=1e30)
    assert mask[-3000:].mean() > 0.99 and mask[:5002].mean() < 0.01


def test_otsu_does_not_see_what_is_nan():
    image = np.random.default_rng(6).uniform(0, 1, (40, 50))
    spoiled = np.pad(image, 5, constant_values=np.nan)
    assert otsu_threshold(spoiled) == otsu_threshold(image)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.full((4, 4), np.nan), "no finite value"),
        (np.full((4, 4), 2.5), "every valid pixel of the image is 2.5"),
        (np.array([3, np.nan]), "every valid pixel of the image is 3"),
    ],
)
def test_otsu_refuses_what_has_no_two_classes(image, says):
    with pytest.raises(InputError, match=says):
        otsu_threshold(image)


def disc(radius, shape=(41, 47), middle=(20, 23)):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((a - m) ** 2 for a, m in zip(axes, middle, strict=True)) <= radius**2


def test_masks_are_combined_and_labels_are_masks():
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 7, 0, 7])
    np.testing.assert_array_equal(combine_masks(a, b, "and"), [0, 0, 0, 1])
    np.testing.assert_array_equal(combine_masks(a, b, "or"), [0, 1, 1, 1])
    np.testing.assert_array_equal(combine_masks(a, b, "minus"), [0, 0, 1, 0])


@pytest.mark.parametrize(("shape", "middle"), [((41, 47), (20, 23)), ((21, 25, 23), (10, 12, 11))])
def test_discs_and_spheres_shrink_and_grow_by_pixels(shape, middle):
    given = disc(7, shape, middle)
    for pixels in (0, 1, 3):
        inner, outer = erode(given, pixels), dilate(given, pixels)
        assert not (disc(6.3 - pixels, shape, middle) & ~inner).any() and not (inner & ~given).any()
        assert not (outer & ~disc(7.01 + pixels, shape, middle)).any() and not (given & ~outer).any()
        assert (inner | outer == outer).all()
    np.testing.assert_array_equal(erode(given, 0), given)


def test_the_border_of_the_image_is_no_rim():
    assert erode(np.ones((5, 6), bool), 2).all()
    assert not dilate(np.zeros((5, 6), bool), 2).any()


def test_holes_are_filled_and_small_parts_removed():
    ring = disc(10) & ~disc(5)
    np.testing.assert_array_equal(fill_holes(ring), disc(10))
    speckled = disc(6)
    speckled[0, 0] = speckled[1, 1] = speckled[40, 40] = True
    np.testing.assert_array_equal(remove_small(speckled, 3), disc(6))
    assert (
        remove_small(speckled, 2)[0, 0] and not remove_small(speckled, 2)[40, 40]
    )  # diagonals are connected


def test_maps_and_stacks_are_nan_outside():
    mask = disc(6)
    image, stack = np.ones(mask.shape, np.float32), np.ones((3, *mask.shape), np.uint16)
    for data in (image, stack):
        masked = apply_mask(data, mask)
        assert masked.dtype == np.float32 and (data == 1).all()
        np.testing.assert_array_equal(np.isfinite(masked), np.broadcast_to(mask, data.shape))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: combine_masks([True], [True, False]), "the masks have shapes"),
        (lambda: combine_masks([True], [True], "xor"), "how is 'xor', expected one of and, or, minus"),
        (lambda: fill_holes([0.5, 1.0]), "expected bool or whole numbers"),
        (lambda: erode([True], -1), "erode takes 0 or more pixels"),
        (lambda: apply_mask(np.zeros((4, 5)), np.zeros((4, 4), bool)), r"the mask has shape \(4, 4\)"),
    ],
)
def test_misuse_is_one_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call()


def run(*masks, in_memory=True):
    simulation = simulate((60, 70), n_energies=16, max_drift=0, seed=2)
    steps = [(name, STEPS[name].params()) for name in ("flat_field", "optical_density", "normalize")]
    steps += [("mask", make_params(MaskParams, values, "mask")) for values in masks]
    return run_steps(simulation.stack, steps, keep_stack=True, in_memory=in_memory), simulation


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_makes_everything_outside_invalid(in_memory):
    result, simulation = run({"otsu": True, "fill": True, "remove_small": 20}, in_memory=in_memory)
    mask = result.labels["mask"].astype(bool)
    assert result.history[-1]["found"]["pixels_inside"] == mask.sum() > 100
    for data in result.maps.values():
        assert np.isnan(data[~mask]).all()
    assert (
        np.isnan(result.stack.data[:, ~mask]).all() and np.isfinite(result.stack.data[:, mask]).mean() > 0.99
    )
    inside = simulation.thickness > 0.3 * simulation.thickness.max()
    assert (mask == inside)[inside].mean() > 0.9
    threshold = result.history[-1]["params"]["above"]
    again, _ = run({"above": threshold, "fill": True, "remove_small": 20}, in_memory=in_memory)
    np.testing.assert_array_equal(again.labels["mask"], result.labels["mask"])


def test_steps_combine_masks_without_applying_them():
    result, _ = run({"above": 0.2, "apply": False}, {"below": 0.6, "combine": "and", "apply": False})
    thickness = result.maps["thickness"]
    np.testing.assert_array_equal(
        result.labels["mask"].astype(bool), threshold_mask(thickness, above=0.2, below=0.6)
    )
    assert np.isfinite(thickness).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"of": "peak", "above": 1},
            "the map 'peak', which no earlier step made; there are: thickness, edge_step",
        ),
        ({"above": 1, "otsu": True}, "both otsu and above"),
        ({"above": 1, "combine": "or"}, "the mask so far, but there is none"),
        ({}, "threshold_mask got no limit"),
    ],
)
def test_step_says_what_is_wrong(given, said):
    with pytest.raises(InputError, match=said):
        run(given)


def test_an_empty_mask_is_said():
    result, _ = run({"above": 1e6})
    assert "the mask is empty" in result.warnings[-1]


def test_an_outline_in_the_plane_of_two_maps_selects_what_lies_inside():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 50, 60))
    angle = np.linspace(0, 2 * np.pi, 721)[:-1]
    circle = 0.6 * np.column_stack([np.cos(angle), np.sin(angle)])
    x[3, 4] = y[5, 6] = np.nan
    inside = nx.polygon_mask(x, y, circle)
    assert inside.dtype == bool and not inside[3, 4] and not inside[5, 6]
    radius = np.hypot(x, y)
    sure = np.isfinite(radius) & (np.abs(radius - 0.6) > 1e-3)
    np.testing.assert_array_equal(inside[sure], radius[sure] < 0.6)


@pytest.mark.parametrize(
    ("y", "corners", "said"),
    [
        (np.zeros((3, 4)), [[0, 0], [1, 0], [0, 1]], "they must be the same"),
        (np.zeros((2, 2)), [[0, 0], [1, 0]], "three or more corners"),
        (np.zeros((2, 2)), [[0, 0], [1, 0], [np.nan, 1]], "finite numbers"),
    ],
)
def test_outlines_that_are_none(y, corners, said):
    with pytest.raises(nx.InputError, match=said):
        nx.polygon_mask(np.zeros((2, 2)), y, corners)


def test_the_density_of_two_maps_counts_every_pixel():
    from napari_xanes._core.draw.density import map_density

    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (2, 300, 200))
    x[0, :7] = np.nan
    found = map_density(x, y, bins=50)
    assert found.counts.sum() + found.invalid + found.outside == x.size
    assert found.invalid == 7 and 0 < found.outside < 0.01 * x.size
    expected, _, _ = np.histogram2d(*(v[np.isfinite(x)] for v in (x, y)), 50, (found.x, found.y))
    assert np.abs(found.counts - expected).sum() <= 4, "but for rounding at the edges of bins"
    flat = map_density(np.ones(5), np.ones(5))
    assert flat.counts.sum() == 5


def test_a_mask_from_a_file_is_a_step(tmp_path):
    simulation = nx.simulate((48, 56), n_energies=31, max_drift=0)
    painted = np.zeros((48, 56), bool)
    painted[10:30, 5:40] = True
    write_mask(tmp_path / "painted.tif", painted)
    steps = [{"do": do} for do in ("flat_field", "optical_density")]
    mask = {"do": "mask", "file": str(tmp_path / "painted.tif")}
    result = nx.run_recipe(
        nx.Recipe.from_dict({"schema": 1, "step": [*steps, mask, {"do": "normalize"}]}), simulation.stack
    )
    np.testing.assert_array_equal(np.isfinite(result.maps["thickness"]), painted)
    assert result.history[-2]["found"]["pixels_inside"] == painted.sum()
    write_mask(tmp_path / "painted.tif", painted[:40])
    with pytest.raises(nx.InputError, match=r"has shape \(40, 56\), the images have \(48, 56\)"):
        nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [*steps, mask]}), simulation.stack)
    with pytest.raises(nx.InputError, match="both file and limits"):
        nx.run_recipe(
            nx.Recipe.from_dict({"schema": 1, "step": [*steps, {**mask, "above": 1.0}]}), simulation.stack
        )
