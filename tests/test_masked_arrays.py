"""What numpy masks is invalid in every public function: each gives what it gives with NaN, or 0 in masks and labels, there."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

import napari_xanes as nx

RNG = np.random.default_rng(3)
E = np.linspace(8280.0, 8400.0, 41)
SHAPE = (16, 18)
A, B = (0.5 + np.arctan((E - e0) / 1.5) / np.pi for e0 in (8333, 8337))
REFERENCES = [nx.Reference("A", E, A), nx.Reference("B", E, B)]
SHARP = [nx.Reference("A", E, A)]
SHARE = RNG.random(SHAPE)
MU = 0.05 + (0.5 + RNG.random(SHAPE)) * (SHARE * A[:, None, None] + (1 - SHARE) * B[:, None, None])
MU += 0.002 * RNG.standard_normal(MU.shape)
COUNTS = np.round(9000 * np.exp(-MU))
FLAT = np.round(RNG.normal(9000, 30, (3, *SHAPE)))
IMAGE = np.linspace(0, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
LABELS = np.kron([[1, 2], [0, 3]], np.ones((8, 9), int))
HIDDEN = np.zeros(SHAPE, bool)
HIDDEN[3:5, 4:6] = HIDDEN[12, 11] = True
INTEGER = (np.uint8, np.uint16, np.int32)


def both(values: np.ndarray, hidden: Any = HIDDEN, dtype: Any = None) -> tuple[Any, Any]:
    """Return values with something absurd behind a mask, and what that must be like."""
    hidden = np.broadcast_to(hidden, values.shape)
    if values.dtype.kind in "ib" and dtype is None:
        return np.ma.array(np.where(hidden, 77, values).astype(values.dtype), mask=hidden), np.where(
            hidden, 0, values
        )
    absurd = np.where(hidden, 1e6 if dtype is None else np.iinfo(dtype).max - 7, values)
    wide = np.float64 if dtype is None or np.dtype(dtype).itemsize > 2 else np.float32
    return np.ma.array(absurd.astype(dtype or values.dtype), mask=hidden), np.where(
        hidden, np.nan, values
    ).astype(wide)


SPECTRUM = both(A, np.arange(E.size) == 3)
IMAGES, MAP, REGIONS, MASK = both(MU), both(IMAGE), both(LABELS), both(LABELS > 0)
VOLUMES = both(np.stack([MU, MU], axis=1), HIDDEN)


def stack(data: Any, **more: Any) -> nx.EnergyStack:
    return nx.EnergyStack(data, E, more.pop("signal", "optical_density"), **more)


def normalized(mu: Any) -> nx.EdgeNormalization:
    return nx.normalize_edge(mu, E, pre_edge=(8281, 8320), post_edge=(8350, 8399))


CALLS: dict[str, list[tuple[Any, tuple[Any, Any]]]] = {
    "flat_field": [
        (lambda c: nx.flat_field(c, FLAT), both(COUNTS)),
        (lambda f: nx.flat_field(COUNTS, f), both(FLAT)),
        (lambda f: nx.flat_field(COUNTS, f), both(FLAT[0])),
        (lambda f: nx.flat_field(COUNTS, f), both(np.repeat(FLAT[:1], E.size, 0))),
        (lambda d: nx.flat_field(COUNTS, FLAT, d), both(FLAT * 0.01)),
        (lambda c: nx.flat_field(c, FLAT), both(COUNTS, dtype=np.uint16)),
        (lambda i0: nx.flat_field(COUNTS, i0), both(FLAT[0, 0, 0] + 0 * E, np.arange(E.size) == 3)),
    ],
    "optical_density": [(nx.optical_density, both(np.exp(-MU))), (nx.optical_density, both(np.exp(-A), A > 0.9))],
    "bin_pixels": [(lambda m: nx.bin_pixels(m, 2), IMAGES), (lambda m: nx.bin_pixels(m, 2), both(COUNTS, dtype=np.uint16))],
    "remove_bad_pixels": [(nx.remove_bad_pixels, IMAGES)],
    "denoise": [
        (nx.denoise, IMAGES),
        (lambda m: nx.denoise(m, method="nonlocal_means"), IMAGES),
        (nx.denoise, VOLUMES),
    ],
    "suspect_energies": [(nx.suspect_energies, both(FLAT[0, 0, 0] + RNG.normal(0, 9, E.size), np.arange(E.size) == 3))],
    "combine_scans": [(lambda m: nx.combine_scans([stack(m), stack(MU)]), IMAGES)],
    "estimate_drift": [
        (nx.estimate_drift, IMAGES),
        (lambda m: nx.estimate_drift(stack(m)), IMAGES),
        (lambda m: nx.estimate_drift(m, method="stackreg"), IMAGES),
        (lambda m: nx.estimate_drift(MU, mask=m), both(np.ones(SHAPE, bool))),
    ],
    "apply_drift": [
        (lambda m: nx.apply_drift(m, nx.Drift.from_shifts(np.full((E.size, 2), 0.5))), IMAGES),
        (lambda m: nx.apply_drift(stack(m), nx.Drift.from_shifts(np.full((E.size, 2), 0.5))), IMAGES),
    ],
    "find_e0": [(lambda m: nx.find_e0(E, m), SPECTRUM)],
    "normalize_edge": [(normalized, IMAGES), (normalized, SPECTRUM)],
    "normalize_references": [(lambda m: nx.normalize_references(REFERENCES, normalized(m)), IMAGES)],
    "pixels_with_step": [(lambda m: nx.pixels_with_step(m, E, 3.0), IMAGES)],
    "fit_references": [
        (lambda m: nx.fit_references(m, E, REFERENCES), IMAGES),
        (lambda m: nx.fit_references(m, E, REFERENCES), VOLUMES),
        (lambda m: nx.fit_references(MU, E, REFERENCES, mask=m), MASK),
        (lambda n: nx.fit_references(MU, E, REFERENCES, noise=n), both(np.full(SHAPE, 0.01))),
    ],
    "diagnose_fit": [(lambda m: nx.diagnose_fit(nx.fit_references(m, E, REFERENCES)), IMAGES)],
    "fit_reference_shifts": [(lambda m: nx.fit_reference_shifts(m, E, SHARP), SPECTRUM)],
    "energy_shift_map": [(lambda m: nx.energy_shift_map(m, E, REFERENCES), IMAGES)],
    "rank_combinations": [(lambda m: nx.rank_combinations(m, E, REFERENCES), SPECTRUM)],
    "combination_map": [(lambda m: nx.combination_map(m, E, REFERENCES), IMAGES)],
    "estimate_noise": [(lambda m: nx.estimate_noise(m, E), IMAGES)],
    "threshold_mask": [(lambda m: nx.threshold_mask(m, above=0.3), MAP)],
    "otsu_threshold": [(nx.otsu_threshold, MAP)],
    "combine_masks": [(lambda m: nx.combine_masks(m, LABELS > 1, "or"), MASK), (lambda m: nx.combine_masks(LABELS > 1, m), MASK)],
    "fill_holes": [(nx.fill_holes, MASK)],
    "erode": [(nx.erode, MASK)],
    "dilate": [(nx.dilate, MASK)],
    "remove_small": [(lambda m: nx.remove_small(m, 3), MASK)],
    "apply_mask": [(lambda m: nx.apply_mask(m, LABELS > 0), IMAGES), (lambda m: nx.apply_mask(MU, m), MASK)],
    "label_particles": [
        (lambda m: nx.label_particles(m, min_pixels=2), MASK),
        (lambda m: nx.label_particles(LABELS > 0, min_pixels=2, image=m), MAP),
    ],
    "particle_table": [
        (lambda m: nx.particle_table(LABELS, {"a": m}), MAP),
        (lambda m: nx.particle_table(LABELS, {"fraction_a": IMAGE}, thickness=m), MAP),
        (lambda m: nx.particle_table(LABELS, {"a": IMAGE}, sigma={"a": m}), MAP),
        (lambda m: nx.particle_table(m, {"a": IMAGE}), REGIONS),
    ],
    "core_to_rim": [(lambda m: nx.core_to_rim(LABELS, m), MAP), (lambda m: nx.core_to_rim(m, IMAGE), REGIONS)],
    "mean_spectra": [
        (lambda m: nx.mean_spectra(m, LABELS), IMAGES),
        (lambda m: nx.mean_spectra(stack(m), LABELS), IMAGES),
        (lambda m: nx.mean_spectra(MU, m), REGIONS),
    ],
    "cluster_spectra": [(lambda m: nx.cluster_spectra(m, 2), IMAGES), (lambda m: nx.cluster_spectra(MU, 2, mask=m), MASK)],
    "cluster_quality": [(lambda m: nx.cluster_quality(m, [2, 3]), IMAGES)],
    "decompose": [
        (lambda m: nx.decompose(m, 2), IMAGES),
        (lambda m: nx.decompose(m, 2, method="nmf"), IMAGES),
        (lambda m: nx.decompose(MU, 2, mask=m), MASK),
    ],
    "residual_components": [(lambda m: nx.residual_components(m, E, REFERENCES), IMAGES)],
    "peak_map": [(lambda m: nx.peak_map(m, E, (8330, 8345)), IMAGES)],
    "white_line_map": [(lambda m: nx.white_line_map(m, E, (8325, 8350)), IMAGES)],
    "edge_map": [(lambda m: nx.edge_map(m, E), both(MU / MU.max()))],
    "mix_colors": [
        (lambda m: nx.mix_colors([m, IMAGE], ["red", "blue"], limits=(0, 1)), MAP),
        (lambda m: nx.mix_colors(m, ["red", "blue"], limits=(0, 1)), both(np.stack([IMAGE, IMAGE]))),
        (lambda m: nx.mix_colors([IMAGE], ["red"], limits=(0, 1), brightness=m), MAP),
        (lambda m: nx.mix_colors([IMAGE], ["red"], limits=(0, 1), sigma=m), MAP),
    ],
    "run_recipe": [
        (lambda m: nx.run_recipe(recipe("normalize"), stack(m)), IMAGES),
        (lambda c: nx.run_recipe(recipe("flat_field", "optical_density", "normalize"), stack(c, signal="counts", flat=FLAT)), both(COUNTS)),
        (lambda f: nx.run_recipe(recipe("flat_field", "optical_density", "normalize"), stack(COUNTS, signal="counts", flat=f)), both(FLAT)),
        (lambda i0: nx.run_recipe(recipe("flat_field", "optical_density"), stack(COUNTS, signal="counts", flat=FLAT, dark=i0)), both(FLAT[0] * 0.01)),
    ],
    "make_result": [(lambda m: nx.make_result(stack(MU), {"a": m}), MAP), (lambda m: nx.make_result(stack(MU), {}, labels={"a": m}), REGIONS)],
}  # fmt: skip

WITHOUT = {
    "read_stack", "read_references", "check_references", "polygon_mask", "color_bar", "color_triangle", "as_script",
    "save_result", "load_result", "simulate", "simulate_fluorescence", "simulate_stxm", "simulate_volume", "save_figure",
}  # fmt: skip
"""Functions that take no images or maps of pixels; `save_figure` has a test of its own below."""


def recipe(*steps: str) -> nx.Recipe:
    return nx.Recipe.from_dict({"schema": 1, "step": [{"do": step} for step in steps]})


CASES = [(name, i) for name, calls in CALLS.items() for i in range(len(calls))]


@pytest.mark.parametrize(("name", "i"), CASES)
def test_what_is_masked_is_invalid(name, i):
    call, (masked, expected) = CALLS[name][i]
    before = masked.data.copy(), np.ma.getmaskarray(masked).copy()
    same(call(masked), call(expected), name)
    np.testing.assert_array_equal(masked.data, before[0])
    np.testing.assert_array_equal(np.ma.getmaskarray(masked), before[1])


def test_no_public_function_is_left_out():
    functions = {name for name in nx.__all__ if inspect.isfunction(getattr(nx, name))}
    assert functions == set(CALLS) | WITHOUT and not set(CALLS) & WITHOUT


def test_a_figure_shows_nothing_where_a_map_is_masked(tmp_path):
    masked, expected = MAP
    nx.save_figure(tmp_path / "a.png", {"fraction_a": masked}, dpi=60)
    nx.save_figure(tmp_path / "b.png", {"fraction_a": expected}, dpi=60)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_reference_with_masked_values_is_refused():
    with pytest.raises(nx.InputError, match="not finite"):
        nx.Reference("A", E, np.ma.masked_greater(A, 0.99))


def test_a_masked_energy_is_refused():
    with pytest.raises(nx.InputError, match="energy 4 of 41"):
        nx.normalize_edge(MU, np.ma.array(E, mask=np.arange(E.size) == 3))


def same(found: Any, expected: Any, where: str) -> None:
    """Compare arrays, and whatever holds arrays."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        for field in dataclasses.fields(found):
            same(getattr(found, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    elif isinstance(found, dict):
        assert list(found) == list(expected), where
        for key in found:
            same(found[key], expected[key], f"{where}[{key}]")
    elif isinstance(found, (list, tuple)):
        assert len(found) == len(expected), where
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            same(one, other, f"{where}[{i}]")
    elif hasattr(found, "shape") and np.dtype(found.dtype).kind in "fiub":
        assert not isinstance(found, np.ma.MaskedArray), where
        np.testing.assert_allclose(
            np.asarray(found[...]), np.asarray(expected[...]), rtol=1e-5, atol=1e-6, err_msg=where
        )
    elif isinstance(found, float):
        assert found == pytest.approx(expected, rel=1e-5, nan_ok=True), where
    elif isinstance(found, (str, int, bool, type(None))):
        assert found == expected, where
