"""Particles against shapes whose parts, sizes, means and gradients are known."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import InputError, core_to_rim, label_particles, particle_table
from napari_xanes._core.base.params import make_params
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.regions.particles import ParticlesParams
from napari_xanes._core.runs.pipeline import run_steps


def distance_to(shape, *centre):
    grids = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    return np.sqrt(sum((grid - c) ** 2 for grid, c in zip(grids, centre, strict=True)))


LEFT, RIGHT = distance_to((60, 90), 30, 30), distance_to((60, 90), 30, 55)


# -- parting ------------------------------------------------------------------------------------------


def test_overlapping_discs_are_parted_at_their_neck():
    mask = (LEFT <= 18) | (RIGHT <= 14)
    labels = label_particles(mask)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, mask)
    radical_line = 30 + (25**2 + 18**2 - 14**2) / (2 * 25)  # where the two circles cross
    columns = np.broadcast_to(np.arange(90), mask.shape)
    far = np.abs(columns - radical_line) > 2
    np.testing.assert_array_equal(labels[mask & far], np.where(columns < radical_line, 1, 2)[mask & far])


def test_spheres_are_parted_in_3d():
    shape = (24, 40, 52)
    mask = (distance_to(shape, 12, 20, 18) <= 10) | (distance_to(shape, 12, 20, 33) <= 8)
    labels = label_particles(mask)
    assert labels.max() == 2 and labels.shape == shape
    assert labels[12, 20, 10] == 1 and labels[12, 20, 39] == 2
    assert (labels == 2).sum() == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.06)


@pytest.mark.parametrize("width", [1.5, 5.5, 12.2, 31])
@pytest.mark.parametrize("angle", np.deg2rad([0, 4, 17, 45, 88, 131]))
def test_a_rod_is_one_particle(width, angle):
    y, x = np.mgrid[:170, :170] - 85.3
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    rod = (np.abs(along) < 75) & (np.abs(across) < width / 2)
    np.testing.assert_array_equal(label_particles(rod, min_distance=0, min_pixels=1), rod)


def test_near_centres_are_of_one_particle():
    mask = (LEFT <= 18) | (RIGHT <= 14)
    assert label_particles(mask, min_distance=24).max() == 2
    assert label_particles(mask, min_distance=27).max() == 1


def test_labels_go_by_size_and_small_ones_are_left_out():
    mask = np.zeros((20, 30), bool)
    mask[2:5, 2:5], mask[8:18, 2:12], mask[2:8, 15:25] = True, True, True
    labels = label_particles(mask, min_pixels=1)
    assert [labels[3, 3], labels[10, 5], labels[4, 20]] == [3, 1, 2]
    labels = label_particles(mask, min_pixels=10)
    assert [labels[3, 3], labels[10, 5], labels[4, 20]] == [0, 1, 2]


def test_an_image_says_where_particles_meet():
    mask = (LEFT <= 18) | (RIGHT <= 18)
    columns = np.broadcast_to(np.arange(90.0), mask.shape)
    image = np.abs(columns - 46)  # the neck is at 42.5
    image[30, 20] = np.nan
    given = image.copy()
    labels = label_particles(mask, image=image)
    off = np.abs(columns - 46) > 1
    assert len(set(labels[mask & off & (columns < 46)])) == len(set(labels[mask & off & (columns > 46)])) == 1
    assert labels[30, 20] == labels[30, 21] != labels[30, 60]
    np.testing.assert_array_equal(image, given)


def test_empty_and_full_masks():
    empty, full = np.zeros((8, 9), bool), np.ones((8, 9), bool)
    np.testing.assert_array_equal(label_particles(empty), 0)
    np.testing.assert_array_equal(label_particles(full), 1)
    np.testing.assert_array_equal(label_particles(full, min_pixels=100), 0)
    table = particle_table(label_particles(empty), {"thickness": np.ones((8, 9))}, pixel_size_um=0.1)
    assert {len(column) for column in table.values()} == {0}
    made = core_to_rim(empty, np.ones((8, 9)), bins=4)
    assert made.relative.mean.shape == (0, 4) and np.isnan(made.relative.pooled_mean).all()
    made = core_to_rim(full, np.ones((8, 9)), bins=4)  # no rim is in view
    assert made.cut.all() and np.isnan(made.deepest_px).all() and not made.relative.counts.any()


# -- table --------------------------------------------------------------------------------------------


def test_sizes_are_in_micrometres():
    labels = np.zeros((60, 90), int)
    labels[LEFT <= 18] = 4
    labels[:3, :5] = 7
    table = particle_table(labels, {}, pixel_size_um=0.05)
    assert table["label"].tolist() == [4, 7]
    np.testing.assert_allclose(table["area_um2"], [np.pi * (18 * 0.05) ** 2, 15 * 0.05**2], rtol=0.01)
    assert table["diameter_um"][0] == pytest.approx(2 * 18 * 0.05, rel=0.005)
    np.testing.assert_allclose([table["centroid_y"], table["centroid_x"]], [[30, 1], [30, 2]])
    assert table["cut"].tolist() == [False, True]
    without = particle_table(labels, {})
    assert "area_um2" not in without and without["diameter_px"][0] == pytest.approx(36, rel=0.005)


def test_volumes_are_in_cubic_micrometres():
    ball = distance_to((24, 30, 40), 11, 15, 20) <= 9
    table = particle_table(ball, {}, pixel_size_um=0.2)
    assert table["volume_um3"][0] == pytest.approx(4 / 3 * np.pi * 1.8**3, rel=0.02)
    assert table["diameter_um"][0] == pytest.approx(3.6, rel=0.01)
    assert [table[f"centroid_{a}"][0] for a in "zyx"] == [11, 15, 20]


def test_fractions_are_weighted_by_thickness_and_invalid_pixels_counted():
    labels = np.array([[1, 1, 1, 1], [2, 2, 3, 0]])
    thickness = np.array([[1.0, 3.0, 2.0, -1.0], [1.0, 1.0, 1.0, 5.0]])
    fraction = np.array([[0.2, 0.6, np.nan, 0.9], [0.5, 0.7, np.inf, 0.1]])
    table = particle_table(labels, {"thickness": thickness, "fraction_a": fraction, "rms": fraction})
    np.testing.assert_allclose(table["fraction_a"], [(0.2 + 3 * 0.6) / 4, 0.6, np.nan])
    np.testing.assert_allclose(table["fraction_a_std"], [np.sqrt((0.3**2 + 3 * 0.1**2) / 4), 0.1, np.nan])
    assert table["fraction_a_invalid"].tolist() == [2, 0, 1]
    np.testing.assert_allclose(table["rms"], [1.7 / 3, 0.6, np.nan])
    assert table["rms_invalid"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(table["thickness"], [1.25, 1, 1])
    other = particle_table(labels, {"fraction_a": fraction}, thickness=thickness)
    np.testing.assert_array_equal(other["fraction_a"], table["fraction_a"])
    unweighted = particle_table(labels, {"fraction_a": fraction})
    np.testing.assert_array_equal(unweighted["fraction_a"], table["rms"])


def test_standard_error_is_the_scatter_of_repeated_measurements():
    rng = np.random.default_rng(3)
    labels = np.zeros((20, 24), int)
    labels[2:8, 2:10], labels[10:18, 5:20] = 1, 2
    truth = rng.uniform(0.2, 0.8, labels.shape)
    thickness = rng.uniform(0.3, 2.0, labels.shape)
    sigma = 0.05 / thickness
    means, errors = [], []
    for _ in range(1500):
        noisy = truth + rng.normal(0, sigma)
        table = particle_table(
            labels, {"fraction_a": noisy}, sigma={"fraction_a": sigma}, thickness=thickness
        )
        means.append(table["fraction_a"])
        errors.append(table["fraction_a_se"])
    np.testing.assert_allclose(
        np.std(means, axis=0), errors[0], rtol=0.06
    )  # 3 standard errors of the scatter
    expected = [np.average(truth[labels == k], weights=thickness[labels == k]) for k in (1, 2)]
    np.testing.assert_allclose(np.mean(means, axis=0), expected, atol=4 * errors[0].max() / np.sqrt(1500))


def test_an_unknown_error_of_a_pixel_makes_that_of_the_particle_unknown():
    labels, image = np.array([[1, 1, 2, 2]]), np.array([[1.0, 2.0, 3.0, np.nan]])
    table = particle_table(labels, {"edge": image}, sigma={"edge": [[0.1, np.nan, 0.2, np.nan]]})
    np.testing.assert_allclose(table["edge_se"], [np.nan, 0.2])


# -- profile ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "centre", "radius"), [((90, 100), (43.3, 50.6), 40.0), ((50, 52, 54), (24.4, 25.7, 26.1), 22.0)]
)
def test_a_radial_gradient_is_recovered(shape, centre, radius):
    r = distance_to(shape, *centre)
    ball = r <= radius
    made = core_to_rim(ball, 0.2 + 0.6 * (1 - r / radius), bins=8, pixel_size_um=0.03)
    profile = made.relative
    assert made.deepest_px[0] == pytest.approx(radius, abs=1.3)  # the nearest pixel is not the centre
    assert made.deepest_um[0] == made.deepest_px[0] * 0.03
    assert profile.counts.sum() == ball.sum()
    ndim, shells = len(shape), (1 - profile.edges) ** len(shape)
    np.testing.assert_allclose(profile.counts[0] / ball.sum(), -np.diff(shells), atol=0.03)
    # mean radius of a shell between two radii, in units of the radius
    outer, inner = 1 - profile.edges[:-1], 1 - profile.edges[1:]
    mean_r = ndim / (ndim + 1) * (outer ** (ndim + 1) - inner ** (ndim + 1)) / (outer**ndim - inner**ndim)
    np.testing.assert_allclose(profile.mean[0], 0.2 + 0.6 * (1 - mean_r), atol=0.015)
    np.testing.assert_allclose(profile.std[0][:-1], 0.6 / 8 / np.sqrt(12), rtol=0.25)
    np.testing.assert_allclose(profile.depth_px[0], (1 - mean_r) * radius, atol=0.8)
    assert made.absolute.edges[-1] == made.deepest_px[0]
    np.testing.assert_array_equal(made.absolute.mean, profile.mean)  # one particle: the same bins


def test_a_rim_of_fixed_width_is_seen_in_px_over_all_particles():
    image, labels = np.zeros((100, 180)), np.zeros((100, 180), int)
    for k, (column, radius) in enumerate(((50, 40), (120, 20)), start=1):
        r = distance_to(labels.shape, 50, column)
        labels[r <= radius] = k
        image[r <= radius - 5] = 1
    profile = core_to_rim(labels, image, bins=16).absolute
    width = profile.edges[1]
    inner, outer = profile.edges[:-1] > 5 + 1, profile.edges[1:] < 5 - 1
    assert width == pytest.approx(40 / 16, abs=0.1) and outer.any()
    assert (profile.pooled_mean[inner] == 1).all() and (profile.pooled_mean[outer] == 0).all()
    assert profile.counts[1][profile.edges[:-1] > 21].sum() == 0
    assert np.isnan(profile.mean[1][-1])


def test_only_whole_particles_are_pooled_and_nan_is_counted():
    labels = np.zeros((30, 40), int)
    labels[5:15, 5:15], labels[20:, 20:30] = 1, 2
    image = np.where(labels == 1, 0.5, 7.0)
    image[8, 8] = np.nan
    made = core_to_rim(labels, image, bins=3)
    assert made.cut.tolist() == [False, True] and made.invalid.tolist() == [1, 0]
    np.testing.assert_array_equal(made.relative.pooled_counts, made.relative.counts[0])
    np.testing.assert_array_equal(made.relative.pooled_mean, 0.5)
    np.testing.assert_array_equal(made.relative.mean[1], 7.0)
    assert made.relative.counts.sum() == 199
    assert made.deepest_px.tolist() == [
        4.5,
        4.5,
    ]  # of the lower the border of the image is no rim: 10 wide, open below
    assert np.isnan(made.depth[0, 0]) and made.depth[5, 5] == 0.5


def test_where_particles_touch_there_is_a_rim():
    labels = np.zeros((9, 16), int)
    labels[1:8, 1:8], labels[1:8, 8:15] = 5, 3
    made = core_to_rim(labels, labels, bins=2)
    assert made.relative.labels.tolist() == [3, 5]
    assert made.depth[4, 7] == made.depth[4, 8] == 0.5
    np.testing.assert_array_equal(made.relative.mean, [[3, 3], [5, 5]])


# -- misuse -------------------------------------------------------------------------------------------

FLAT = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: label_particles(FLAT), "expected bool or whole numbers; use threshold_mask"),
        (lambda: label_particles([True, False]), r"expected an image \(Y, X\) or a volume"),
        (lambda: label_particles(FLAT == 0, min_distance=-1), "min_distance is -1, expected 0 or more"),
        (lambda: label_particles(FLAT == 0, min_pixels=np.nan), "min_pixels is nan"),
        (lambda: label_particles(FLAT == 0, image=FLAT[1:]), r"the image has shape \(3, 5\)"),
        (lambda: particle_table(FLAT, {}), "the labels have shape"),
        (lambda: particle_table(FLAT.astype(int) - 1, {}), "the labels hold -1"),
        (lambda: particle_table(FLAT == 0, {"rms": FLAT.T}), r"the map 'rms' has shape \(5, 4\)"),
        (lambda: particle_table(FLAT == 0, {"rms": FLAT}, sigma={"x": FLAT}), "sigma is given of 'x'"),
        (lambda: particle_table(FLAT == 0, {}, pixel_size_um=0), "pixel_size_um is 0"),
        (lambda: core_to_rim(FLAT == 0, FLAT, bins=0), "bins is 0, expected at least 1"),
        (lambda: core_to_rim(FLAT == 0, FLAT + 1j), "type complex128, expected real numbers"),
    ],
)
def test_misuse_is_one_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call()


# -- the step -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulation():
    return nx.simulate((70, 80), n_energies=24, max_drift=0, seed=5, n_particles=4)


def run(simulation, *, folder=None, particles=None, mask=None, in_memory=True, fit=True):
    steps = [{"do": "flat_field"}, {"do": "optical_density"}, {"do": "normalize"}]
    if mask is not None:
        steps.append({"do": "mask", **mask})
    if fit:
        names = []
        for reference in simulation.references:
            names.append(str(folder / f"{reference.name}.txt"))
            np.savetxt(names[-1], np.c_[reference.energy, reference.mu])
        steps.append({"do": "fit", "references": names})
    steps.append({"do": "particles", **(particles or {})})
    recipe = Recipe.from_dict({"schema": 1, "step": steps})
    stack = simulation.stack.replace(pixel_size_um=0.04)
    return nx.run_recipe(recipe, stack, in_memory=in_memory)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_measures_particles(simulation, tmp_path, in_memory):
    result = run(simulation, folder=tmp_path, in_memory=in_memory)
    labels, table = result.labels["particles"], result.tables["particles"]
    found, params = result.history[-1]["found"], result.history[-1]["params"]
    assert found["particles"] == table["label"].size == labels.max() > 1
    assert (np.diff(table["pixels"]) <= 0).all() and table["pixels"].sum() == found["pixels_inside"]
    names = [f"fraction_{r.name}" for r in simulation.references]
    assert params["profile"] == names[0] and params["of"] == "thickness" and "above" in params
    np.testing.assert_allclose(table["area_um2"], table["pixels"] * 0.04**2)
    for k, name in enumerate(names):
        truth = particle_table(labels, {name: simulation.fractions[k]}, thickness=simulation.thickness)[name]
        np.testing.assert_allclose(table[name], truth, atol=0.05)
        assert (table[f"{name}_se"] > 0).all() and (table[f"{name}_se"] < 0.02).all()
    assert not any(column.startswith("sigma") for column in table)
    profile = result.tables["core_to_rim"]
    assert (profile["label"] == 0).sum() == 10 and names[0] in profile and "depth_um" in profile
    truth = core_to_rim(labels, simulation.fractions[0]).relative
    np.testing.assert_allclose(profile[names[0]][:10], truth.pooled_mean, atol=0.06)


def test_tables_are_saved_and_the_history_repeats_the_step(simulation, tmp_path):
    result = run(simulation, folder=tmp_path)
    nx.save_result(result, tmp_path / "result.h5")
    loaded = nx.load_result(tmp_path / "result.h5")
    np.testing.assert_array_equal(loaded.labels["particles"], result.labels["particles"])
    for name in ("particles", "core_to_rim", "core_to_rim_px"):
        assert list(loaded.tables[name]) == list(result.tables[name])
        for column, values in result.tables[name].items():
            np.testing.assert_array_equal(loaded.tables[name][column], values)
    again = nx.run_recipe(Recipe.of(loaded), simulation.stack.replace(pixel_size_um=0.04))
    np.testing.assert_array_equal(again.labels["particles"], result.labels["particles"])
    from napari_xanes._core.runs.export import WRITERS

    WRITERS["csv"](result, tmp_path)
    with open(tmp_path / "particles.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area_um2"]) for row in rows] == result.tables["particles"]["area_um2"].tolist()


def test_step_starts_from_the_mask_so_far(simulation):
    mask = {"of": "thickness", "above": 0.3, "remove_small": 30}
    result = run(simulation, fit=False, mask=mask, particles={"holes": 0, "min_pixels": 1, "min_distance": 0})
    np.testing.assert_array_equal(result.labels["particles"] > 0, result.labels["mask"] > 0)
    assert result.history[-1]["params"]["profile"] == "thickness"
    named = run(simulation, fit=False, mask=mask, particles={"of": "edge_step", "above": 0.5, "holes": 0})
    assert (named.labels["particles"] > 0).sum() < (result.labels["mask"] > 0).sum()


def test_step_parts_by_a_map(simulation):
    mask = {"above": 0.1, "dilate": 4, "apply": False}
    given = {"holes": 0, "min_pixels": 1, "min_distance": 0}
    result = run(simulation, fit=False, mask=mask, particles={**given, "split_by": "thickness"})
    expected = label_particles(
        result.labels["mask"], min_distance=0, min_pixels=1, image=result.maps["thickness"]
    )
    np.testing.assert_array_equal(result.labels["particles"], expected)
    at_necks = run(simulation, fit=False, mask=mask, particles=given).labels["particles"]
    assert expected.max() > 1 and (expected != at_necks).any()


def test_holes_of_invalid_pixels_belong_to_particles(simulation):
    given = {"of": "thickness", "above": 0.3, "min_pixels": 1, "maps": ["thickness"]}
    stack = simulation.stack.replace(data=simulation.stack.data[:].astype(np.float32))
    whole = run(simulation, fit=False, particles=given).labels["particles"]
    row, column = np.unravel_index(np.argmax(np.where(whole == 1, simulation.thickness, 0)), whole.shape)
    stack.data[3, row, column] = np.nan
    steps = [(name, STEPS[name].params()) for name in ("flat_field", "optical_density", "normalize")]
    steps.append(("particles", make_params(ParticlesParams, given, "particles")))
    result = run_steps(stack, steps)
    assert np.isnan(result.maps["thickness"][row, column])
    assert result.labels["particles"][row, column] == 1
    assert result.tables["particles"]["thickness_invalid"][0] == 1
    assert result.history[-1]["found"]["invalid_pixels"] == 1


def test_no_particles_is_said_not_refused(simulation, tmp_path):
    result = run(simulation, fit=False, particles={"above": 1e6})
    assert not result.labels["particles"].any() and "no particles" in result.warnings[-1]
    nx.save_result(result, tmp_path / "empty.h5")
    assert nx.load_result(tmp_path / "empty.h5").tables["particles"]["label"].size == 0


@pytest.mark.parametrize(
    ("given", "mask", "said"),
    [
        ({"of": "peak"}, None, "the map 'peak', which no earlier step made; there are: thickness, edge_step"),
        ({"profile": "rms"}, None, "the map 'rms'"),
        ({"above": 0.1}, {"above": 0.2}, "above has no meaning where particles are those of a mask"),
    ],
)
def test_step_says_what_is_wrong(simulation, given, mask, said):
    with pytest.raises(InputError, match=said):
        run(simulation, fit=False, particles=given, mask=mask)


def test_a_mask_of_another_shape_and_a_second_search_are_refused(simulation):
    steps = [(name, STEPS[name].params()) for name in ("flat_field", "optical_density", "normalize")]
    mask = ("mask", make_params(STEPS["mask"].params, {"above": 0.2}, "mask"))
    crop = ("crop", make_params(STEPS["crop"].params, {"roi": [0, 40, 0, 40]}, "crop"))
    particles = ("particles", ParticlesParams())
    with pytest.raises(InputError, match="put mask after the step that changes their shape"):
        run_steps(simulation.stack, [*steps, mask, crop, particles])
    with pytest.raises(InputError, match="there are particles already"):
        run_steps(simulation.stack, [*steps, particles, particles])
