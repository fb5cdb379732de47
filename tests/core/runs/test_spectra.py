"""A few spectra are treated exactly as a run treats all, whatever is set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from other_values import other_values

import napari_xanes as nx
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.engine.sampling import sampled_pixels
from napari_xanes._core.fit.params import FitParams
from napari_xanes._core.io import hdf5
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._core.runs.spectra import SpectraSteps, sampled_stack

PIXELS = [(23, 43), (10, 12), (30, 33), (40, 60), (2, 3)]


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory) -> Path:
    simulation = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3)
    return simulation.save(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="module")
def files(scan_file):
    return tuple(sorted(str(path) for path in (scan_file.parent / "references").glob("*.txt")))


@pytest.fixture(scope="module")
def density(scan_file):
    scan = nx.read_stack(scan_file)
    mu = nx.optical_density(nx.flat_field(scan.data[:], scan.flat[:], scan.dark[:]))
    return scan.replace(data=mu, signal="optical_density", flat=None, dark=None)


def assert_as_run(density, normalize, fit, pixels=PIXELS):
    """Hold the spectra of some pixels against a run over all; returns what the run gave."""
    steps = [("normalize", normalize)] if normalize is not None else []
    normal = run_steps(density, steps, keep_stack=True, in_memory=True)
    ready = SpectraSteps(sampled_stack(density), normalize, fit)
    found = {at: ready(density.data[(slice(None), *at)]) for at in pixels}
    for at, one in found.items():
        want = normal.stack.data[(slice(None), *at)]
        np.testing.assert_allclose(one.spectrum, want, atol=2e-4 * np.nanmax([1, *np.abs(want)]))
    if normalize is not None:
        assert ready.normalization.model_dump(mode="json", exclude_none=True) == normal.history[-1]["params"]
        for at, one in found.items():
            assert one.edge_step == pytest.approx(normal.maps["edge_step"][at], abs=1e-4)
            assert one.thickness == pytest.approx(normal.maps["thickness"][at], abs=1e-4)
    if fit is None:
        return normal
    run = run_steps(normal.stack, [("fit", fit)], in_memory=True)
    assert [one.name for one in ready.references] == [one.name for one in run.extra["references"]]
    for at, one in found.items():
        for k, name in enumerate(one.fit.names):
            pair = one.fit.fractions[k], run.maps[f"fraction_{name}"][at]
            assert pair[0] == pytest.approx(pair[1], abs=1e-3, nan_ok=True), at
            pair = one.fit.sigma[k], run.maps[f"sigma_{name}"][at]
            assert pair[0] == pytest.approx(pair[1], rel=0.02, abs=1e-4, nan_ok=True), at
        model = one.fit.model()
        assert ((model.measured - model.fitted) ** 2).sum() == pytest.approx(
            run.maps["error"][at], rel=0.01, nan_ok=True
        )
    return run


SETTINGS = list(other_values(NormalizeParams, {"e0": 8334.5}))


@pytest.mark.parametrize(("name", "given"), SETTINGS, ids=[f"{n}-{v[n]}" for n, v in SETTINGS])
def test_every_parameter_of_the_normalisation_counts(density, name, given):
    usual = assert_as_run(density, NormalizeParams(), None)
    other = assert_as_run(density, NormalizeParams(**given), None)
    chosen_alike = (
        usual.history[-1].params == other.history[-1].params
    )  # the value given is that of "automatic"
    alike = np.array_equal(usual.stack.data, other.stack.data, equal_nan=True)
    assert alike == (chosen_alike or name == "uncertainty")  # which adds maps only


def fit_settings(files=("",) * 2, names=("",) * 2):
    return list(other_values(FitParams, {"references": files[::-1], "names": names[1:]}))


FIT_NAMES = [f"{n}-{i}" for i, (n, _) in enumerate(fit_settings())]


@pytest.mark.parametrize("number", range(len(FIT_NAMES)), ids=FIT_NAMES)
@pytest.mark.parametrize("direct", [False, True], ids=["normalised", "direct"])
def test_every_parameter_of_the_fit_counts(density, files, number, direct):
    names = [one.name for one in nx.read_references(*files)]
    name, given = fit_settings(files, names)[number]
    if (name == "weights" and not direct) or (name == "references_as" and direct):
        with pytest.raises(nx.InputError):
            assert_as_run(
                density, None if direct else NormalizeParams(), FitParams(references=files, **given)
            )
        return
    along = {"background": (0, 1)} if direct else {}
    params = FitParams(**{"references": files, **along, **given})
    assert_as_run(density, None if direct else NormalizeParams(divide_by="step"), params)


@pytest.mark.parametrize(
    "shape", [(64, 72), (7, 5), (200, 240), (33, 701), (600, 500), (5, 20, 24), (40, 90, 100), (2048, 2048)]
)
def test_the_sample_of_a_sample_is_all_of_it(shape):
    n = sampled_pixels(shape).size
    data = np.broadcast_to(np.zeros(1, np.float32), (2, *shape))
    small = sampled_stack(nx.EnergyStack(data, np.array([1e3, 2e3]), "optical_density"))
    assert small.data[0].size == n
    np.testing.assert_array_equal(sampled_pixels(small.image_shape), np.arange(n))


def test_a_lazy_scan_of_counts_is_looked_at_as_optical_density(scan_file, density):
    small = sampled_stack(nx.read_stack(scan_file))
    assert small.signal == "optical_density"
    np.testing.assert_allclose(small.data, sampled_stack(density).data, rtol=1e-5, atol=1e-6)


def test_a_pixel_below_the_least_step_says_so(density):
    ready = SpectraSteps(sampled_stack(density), NormalizeParams(gate=1e6))
    found = ready(density.data[:, 23, 43])
    assert found.gated and np.isnan(found.spectrum).all()


def test_the_curves_pass_through_their_windows(density):
    params = NormalizeParams(pre="victoreen", post_order=2, divide_by="post")
    ready = SpectraSteps(sampled_stack(density), params)
    spectrum = density.data[:, 23, 43].astype(float)
    found, chosen = ready(spectrum), ready.normalization
    after = (density.energy >= chosen.post_edge[0]) & (density.energy <= chosen.post_edge[1])
    assert abs((spectrum - found.post_curve)[after].mean()) < 1e-6
    np.testing.assert_allclose(found.spectrum, spectrum / found.post_curve, rtol=1e-6)


def test_a_file_is_opened_once_for_a_sample_not_for_each_row(scan_file, monkeypatch):
    opened, open_file = [], hdf5.open_hdf5
    stack = nx.read_stack(scan_file)
    monkeypatch.setattr(hdf5, "open_hdf5", lambda *a, **k: opened.append(1) or open_file(*a, **k))
    sampled_stack(stack)
    assert len(opened) == 1


def test_a_step_within_its_noise_says_so(density):
    ready = SpectraSteps(sampled_stack(density), NormalizeParams(divide_by="step"))
    assert not ready(density.data[(slice(None), *PIXELS[0])]).in_noise
    nothing = np.random.default_rng(1).normal(0.1, 0.01, density.energy.size)
    nothing += 1e-4 * (density.energy > ready.normalization.e0)
    assert ready(nothing).in_noise
