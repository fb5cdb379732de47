"""Sigma of fractions where part of the noise stays in its place while the sample moves."""

import numpy as np
import pytest
from carry_out import carry_out
from scipy import ndimage
from scipy.special import erf

import napari_xanes as nx
from napari_xanes._core.align.align import ALIGN
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.fit.origin import origin_of

FINE = np.linspace(8200, 8600, 1601)
SHAPE, MARGIN, NOISE = (80, 96), 10, 0.02


def edge(at, width, white):
    return 0.5 + 0.5 * erf((FINE - at) / width) + white * np.exp(-(((FINE - at - 5) / 4) ** 2))


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    files = []
    for name, mu in (("a", edge(8340, 1.5, 0.3)), ("b", edge(8343, 2, 0.8))):
        files.append(str(tmp_path_factory.mktemp("references") / f"{name}.txt"))
        np.savetxt(files[-1], np.column_stack([FINE, mu]))
    return files


def scan(references, still, n=40):
    """Return a scan that drifts by whole pixels, in part by noise that does not, its align step, and the truth."""
    rng = np.random.default_rng(3)
    energy = np.r_[np.linspace(8250, 8318, 8), np.linspace(8335, 8356, n - 16), np.linspace(8376, 8500, 8)]
    a, b = (np.interp(energy, *np.loadtxt(file).T) for file in references)
    whole = [size + 2 * MARGIN for size in SHAPE]
    f = ndimage.gaussian_filter(rng.random(whole), 1)
    f = (f - f.min()) / np.ptp(f)
    walk = np.clip(np.round(np.cumsum(rng.normal(0, 0.5, (n, 2)), 0)), -8, 8)
    pattern = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1)
    pattern *= still * NOISE / pattern.std()
    frames = []
    for i, (dy, dx) in enumerate(walk.astype(int)):
        frame = f * a[i] + (1 - f) * b[i]
        seen = frame[MARGIN - dy :, MARGIN - dx :][: SHAPE[0], : SHAPE[1]]
        frames.append(seen + pattern + NOISE * rng.normal(size=SHAPE))
    matrices = [(1.0, 0.0, dy, 0.0, 1.0, dx) for dy, dx in walk.tolist()]
    stack = nx.EnergyStack(np.array(frames, np.float32), energy, "optical_density")
    return stack, {"do": "align", "matrices": matrices}, f[MARGIN:-MARGIN, MARGIN:-MARGIN]


def run(stack, *steps, **more):
    return nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": list(steps), **more}), stack)


def fit(references):
    return {"do": "fit", "references": references, "background": [0, 1]}


@pytest.mark.parametrize("still", [0.0, 0.9])
def test_truth_lies_within_sigma(references, still):
    stack, align, truth = scan(references, still)
    maps = run(stack, align, fit(references)).maps
    distance = np.abs(maps["fraction_a"] - truth) / maps["sigma_a"]
    distance = distance[np.isfinite(distance)]
    assert 0.66 < np.mean(distance < 1) < 0.70 and 0.94 < np.mean(distance < 2) < 0.965


@pytest.mark.parametrize("still", [0.0, 0.9])
def test_how_frames_were_moved_is_known_in_later_runs(references, still):
    stack, align, _ = scan(references, still)
    at_once = run(stack, align, fit(references)).maps["sigma_a"]
    aligned = run(stack, align, output={"stack": True}).stack
    np.testing.assert_array_equal(run(aligned, fit(references)).maps["sigma_a"], at_once)
    not_known = nx.EnergyStack(aligned.data, aligned.energy, "optical_density")
    ratio = at_once / run(not_known, fit(references)).maps["sigma_a"]
    assert np.nanmedian(ratio) > 1.2 if still else (ratio[np.isfinite(ratio)] == 1).all()


@pytest.mark.parametrize(("turn", "scale"), [(0.0, 1.0), (0.01, 1.0), (0.0, 1.01)])
def test_how_frames_that_turned_or_grew_were_moved_is_not_known(references, turn, scale):
    """Each pixel was moved otherwise, and the matrices tell where that at a corner went."""
    stack, align, _ = scan(references, 0.0)
    matrices = [(scale, turn, dy, -turn, scale, dx) for _, _, dy, _, _, dx in align["matrices"]]
    chain = Chain(stack)
    carry_out(ALIGN, chain, AlignParams(matrices=matrices))
    assert (origin_of(chain).shifts is not None) == (turn == 0 and scale == 1)


def test_a_missing_compound_is_no_noise(references):
    """What it leaves is alike at neighbouring energies, at which the sample is in nearly the same place."""
    stack, align, _ = scan(references, 0.0)
    aligned = run(stack, align, output={"stack": True}).stack
    not_known = nx.EnergyStack(aligned.data, aligned.energy, "optical_density")
    step = {**fit(references[:1]), "uncertainty": True}
    one, other = (run(s, step).maps["amount_sigma_a"] for s in (aligned, not_known))
    np.testing.assert_array_equal(one, other)


def test_rings_of_volumes_are_found_whatever_the_reference(whole_data):
    """Few of these voxels hold anything, so that noise that stays is told only by all that are looked at."""
    folder = whole_data / "phantom_ni_3d"
    references = [str(whole_data / "refs" / "ni" / f"ref_{name}.txt") for name in ("LiNiO2", "NiO")]
    scan = nx.read_stack(folder)
    sigma = [
        np.nanmedian(run(scan, {"do": "align", "reference": r}, fit(references)).maps["sigma_ref_NiO"])
        for r in (0, -1)
    ]
    assert sigma[1] == pytest.approx(sigma[0], rel=0.05)
