"""Cropping, binning, leaving frames out and shifting energies, against numpy on the whole array."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import EnergyStack, InputError, bin_pixels
from napari_xanes._core.base.params import make_params
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.linspace(8300, 8350, 6)
RNG = np.random.default_rng(2)


def make_stack(shape=(6, 31, 42), **more):
    given = {"signal": "optical_density", "pixel_size_um": 0.1} | more
    return EnergyStack(RNG.random(shape, np.float32), ENERGY, **given)


def run(stack, name, in_memory=True, **values):
    params = make_params(STEPS[name].params, values, name)
    return run_steps(stack, [(name, params)], keep_stack=True, in_memory=in_memory)


@pytest.mark.parametrize("shape", [(6, 31, 42), (6, 5, 31, 42)])
@pytest.mark.parametrize("in_memory", [True, False])
def test_crop(shape, in_memory):
    stack = make_stack(shape)
    kept = run(stack, "crop", in_memory, roi=(3, 20, 5, 40), energy_range=(8310, 8340)).stack
    np.testing.assert_array_equal(kept.data, stack.data[1:5, ..., 3:20, 5:40])
    np.testing.assert_array_equal(kept.energy, ENERGY[1:5])
    assert kept.pixel_size_um == 0.1


@pytest.mark.parametrize("shape", [(6, 31, 42), (6, 7, 31, 42)])
@pytest.mark.parametrize("in_memory", [True, False])
def test_bin(shape, in_memory):
    stack = make_stack(shape)
    stack.data[2, ..., 3:5, 3:5] = np.nan
    found = run(stack, "bin", in_memory, factor=3)
    axes = len(shape) - 1
    np.testing.assert_array_equal(found.stack.data, bin_pixels(stack.data, 3, axes=axes))
    assert found.stack.shape == (6, *(n // 3 for n in shape[1:]))
    assert found.stack.pixel_size_um == pytest.approx(0.3)
    assert np.isfinite(found.stack.data).all()
    assert found.history[-1]["found"]["pixels_left_over"] == [n % 3 for n in shape[1:]]


def test_a_binned_pixel_is_the_mean_of_its_valid_pixels():
    image = np.arange(24.0).reshape(4, 6)
    image[0, 0] = np.nan
    image[2:, 4:] = np.nan
    expected = [[(1 + 6 + 7) / 3, 5.5, 7.5], [15.5, 17.5, np.nan]]
    np.testing.assert_allclose(bin_pixels(image, 2), expected)
    assert bin_pixels(image, 2).dtype == np.float64
    assert bin_pixels(np.nan_to_num(image).astype(np.uint8), 2).dtype == np.float32


def test_thickness_of_a_normalised_stack_goes_along():
    thickness = RNG.random((31, 42))
    stack = make_stack(signal="normalized", thickness=thickness)
    cropped = run(stack, "crop", roi=(3, 20, 5, 40)).stack
    np.testing.assert_array_equal(cropped.thickness, thickness[3:20, 5:40])
    np.testing.assert_allclose(run(stack, "bin", factor=2).stack.thickness, bin_pixels(thickness, 2))


@pytest.mark.parametrize("in_memory", [True, False])
def test_dropped_frames_are_invalid_and_named(in_memory):
    stack = make_stack()
    result = run(stack, "drop_energies", in_memory, energies=[8310.4], windows=[[8339, 8351]])
    np.testing.assert_array_equal(np.isnan(result.stack.data).all(axis=(1, 2)), [0, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(result.stack.data[[0, 2, 3]], stack.data[[0, 2, 3]])
    assert result.history[-1]["found"]["dropped"] == 3


@pytest.mark.parametrize("given", [{"offset": -0.6}, {"measured": 8333.6, "true": 8333.0}])
def test_energies_are_shifted(given):
    result = run(make_stack(), "shift_energy", **given)
    np.testing.assert_allclose(result.energy, ENERGY - 0.6)
    np.testing.assert_allclose(result.stack.energy, ENERGY - 0.6)
    assert result.history[-1]["params"] == {"offset": pytest.approx(-0.6)}


@pytest.mark.parametrize("in_memory", [True, False])
def test_frames_of_nearly_one_energy_become_one(in_memory):
    stack = make_stack()
    stack.data[1, 3, 3] = np.nan
    near = stack.replace(energy=np.array([8300.0, 8310, 8310.01, 8320, 8330, 8330.005]))
    found = run(near, "merge_energies", in_memory)
    np.testing.assert_allclose(found.stack.energy, [8300, 8310.005, 8320, 8330.0025])
    assert found.stack.data[1, 3, 3] == stack.data[2, 3, 3]
    np.testing.assert_allclose(found.stack.data[3], stack.data[4:].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(found.stack.data[2], stack.data[3])
    assert found.history[-1]["found"]["merged"] == 2


def test_later_steps_see_the_new_energies_and_shape():
    stack = make_stack()
    steps = {"crop": {"roi": (0, 20, 0, 30)}, "bin": {"factor": 2}, "shift_energy": {"offset": 5}}
    result = run_steps(
        stack, [(n, make_params(STEPS[n].params, v, n)) for n, v in steps.items()], keep_stack=True
    )
    assert result.stack.shape == (6, 10, 15) and result.stack.energy[0] == 8305
    np.testing.assert_array_equal(result.stack.data, bin_pixels(stack.data[:, :20, :30], 2))


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("crop", {"roi": (0, 32, 0, 5)}, "does not lie within the image of 31 rows and 42 columns"),
        ("crop", {"energy_range": (9000, 9100)}, "holds none of the energies"),
        ("bin", {"factor": 33}, "cannot be binned by 33"),
        ("drop_energies", {"energies": [8400]}, "there is no frame at 8400 eV; the nearest is at 8350 eV"),
        ("drop_energies", {"windows": [[8000, 9000]]}, "all frames would be left out"),
        ("shift_energy", {}, "needs an offset, or a measured and a true energy"),
        ("shift_energy", {"offset": 1, "true": 8333}, "one or the other"),
        ("shift_energy", {"offset": -9000}, "zero or negative"),
    ],
)
def test_misuse_is_one_sentence(name, given, said):
    with pytest.raises(InputError, match=said):
        run(make_stack(), name, **given)


@pytest.mark.parametrize("name", ["crop", "bin"])
def test_flats_come_first(name):
    stack = make_stack(signal="counts", flat=np.ones((31, 42)))
    with pytest.raises(InputError, match=f"{name} comes after flat_field"):
        run(stack, name)


def test_groups_of_energies_are_no_wider_than_the_tolerance():
    from napari_xanes._core.prepare.energies import energy_groups

    found = energy_groups(np.arange(8300.0, 8306.0), 1.2)
    assert [group.tolist() for group in found] == [[0, 1], [2, 3], [4, 5]]
