"""Clusters and components as steps of a recipe: the same as the functions, in memory and streamed."""

import numpy as np
import pytest

from napari_xanes import EnergyStack, InputError, cluster_spectra, decompose, pixels_with_step
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.groups.steps import ClusterParams, DecomposeParams
from napari_xanes._core.runs.pipeline import run_steps

RNG = np.random.default_rng(5)
ENERGY = np.linspace(8270, 8430, 41)
EDGES = np.stack([0.5 + np.arctan((ENERGY - e0) / 2) / np.pi for e0 in (8338, 8342, 8347)])
MATERIAL = RNG.choice(3, (50, 60), p=[0.5, 0.3, 0.2])
AMOUNT = RNG.uniform(0.5, 2, (50, 60))
MU = (np.moveaxis(EDGES[MATERIAL], -1, 0) * AMOUNT + 0.1 + RNG.normal(0, 0.02, (41, 50, 60))).astype(
    np.float32
)
MU[7] = np.nan  # a lost frame
MU[20, 0, 0] = np.nan
STACK = EnergyStack(MU, ENERGY, "optical_density", name="scan")


def run(*steps, in_memory=True, stack=STACK, workers=2):
    return run_steps(stack, steps, in_memory=in_memory, workers=workers)


def test_clusters_of_normalised_spectra_are_the_materials():
    result = run(("normalize", NormalizeParams()), ("cluster", ClusterParams(n_clusters=3)))
    labels = result.labels["clusters"]
    assert labels[0, 0] == 0
    agree = (labels == MATERIAL + 1)[labels > 0]
    assert agree.mean() > 0.995
    table = result.tables["cluster_spectra"]
    assert list(table) == ["energy", "cluster_1", "cluster_2", "cluster_3"]
    np.testing.assert_array_equal(table["energy"], ENERGY)
    for k in range(3):
        good = np.isfinite(table[f"cluster_{k + 1}"])
        assert (~good).sum() == 1 and not good[7]
        shape = EDGES[k] - EDGES[k][:8].mean()
        assert np.corrcoef(table[f"cluster_{k + 1}"][good], shape[good])[0, 1] > 0.999
    found = result.history[-1]["found"]
    assert sum(found["pixels"]) == 2999 and found["invalid_pixels"] == 1
    assert result.history[-1]["params"]["energy_range"] == [8270.0, 8430.0]


@pytest.mark.parametrize("method", ["pca", "nmf"])
def test_streamed_and_in_memory_are_the_same_to_the_bit(method):
    steps = [
        ("normalize", NormalizeParams()),
        ("cluster", ClusterParams(n_clusters=3)),
        ("decompose", DecomposeParams(method=method)),
    ]
    if method == "nmf":
        steps = steps[1:]
    one, other = run(*steps), run(*steps, in_memory=False, workers=3)
    np.testing.assert_array_equal(one.labels["clusters"], other.labels["clusters"])
    assert one.maps.keys() == other.maps.keys() and "component_3" in one.maps
    for name in one.maps:
        np.testing.assert_array_equal(one.maps[name], other.maps[name], err_msg=name)
    for name, table in one.tables.items():
        for column in table:
            np.testing.assert_array_equal(table[column], other.tables[name][column])


def test_the_step_is_the_function():
    result = run(("cluster", ClusterParams(n_clusters=3, energy_range=(8330, 8360))))
    found = cluster_spectra(MU, 3, energy=ENERGY, energy_range=(8330, 8360))
    assert (result.labels["clusters"] == found.labels).mean() > 0.999
    assert "follow the amount of material" in result.warnings[-1]
    result = run(("decompose", DecomposeParams(n_components=2)))
    found = decompose(MU, 2)
    np.testing.assert_allclose(result.maps["component_2"], found.maps[1], atol=1e-4)
    np.testing.assert_allclose(result.tables["components"]["component_1"], found.spectra[0], atol=1e-4)
    np.testing.assert_allclose(result.tables["components"]["mean"], found.mean, atol=1e-5)
    assert result.tables["scree"]["component"].tolist() == list(range(1, 41))
    assert result.tables["scree"]["explained"].sum() == pytest.approx(1)


def test_maps_are_grouped_and_their_spectra_told():
    steps = ("normalize", NormalizeParams()), ("cluster", ClusterParams(n_clusters=2, maps=("thickness",)))
    result = run(*steps)
    labels, thickness = result.labels["clusters"], result.maps["thickness"]
    inside = labels > 0
    first, second = (thickness[labels == k] for k in (1, 2))
    assert first.max() < second.min() or second.max() < first.min()
    mean = np.nanmean(np.where(labels == 1, run(steps[0]).maps["thickness"], np.nan))
    assert mean == pytest.approx(first.mean(), rel=1e-5) and inside.all()  # 20th energy is in no window
    assert np.isfinite(result.tables["cluster_spectra"]["cluster_2"]).sum() == 40


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([("cluster", ClusterParams(maps=("e0",)))], "no map 'e0' before this step; there are: none"),
        ([("cluster", ClusterParams(maps=("a",), energy_range=(8300, 8400)))], "energy_range has no meaning"),
        ([("cluster", ClusterParams()), ("cluster", ClusterParams())], "there are clusters already"),
        (
            [("decompose", DecomposeParams()), ("decompose", DecomposeParams())],
            "there are components already",
        ),
        ([("decompose", DecomposeParams(n_components=60))], "n_components is 60, expected 1 to 40"),
    ],
)
def test_misuse(steps, says):
    with pytest.raises(InputError, match=says):
        run(*steps)


@pytest.mark.parametrize("in_memory", [True, False])
def test_empty_pixels_rule_neither_components_nor_clusters(in_memory):
    rng = np.random.default_rng(3)
    sample = np.zeros((50, 60), bool)
    sample[10:40, 10:50] = True
    amount = np.where(sample, AMOUNT, 0)
    mu = np.moveaxis(EDGES[MATERIAL], -1, 0) * amount + 0.1 + rng.normal(0, 0.02, (41, 50, 60))
    stack = EnergyStack(mu.astype(np.float32), ENERGY, "optical_density", name="scan")
    steps = [
        ("normalize", NormalizeParams()),
        ("cluster", ClusterParams(n_clusters=3)),
        ("decompose", DecomposeParams()),
    ]
    result = run(*steps, in_memory=in_memory, stack=stack)
    inside = np.isfinite(result.maps["component_1"])
    assert inside[sample].mean() > 0.99 and not inside[~sample].any()
    labels = result.labels["clusters"]
    assert (labels == MATERIAL + 1)[sample].mean() > 0.98 and (labels[~inside] == 0).all()
    first = result.maps["component_1"][inside]
    assert np.sort(first**2)[-5:].sum() < 0.02 * (first**2).sum()
    assert result.tables["scree"]["explained"][0] > 0.3
    left_out = result.history[-1].facts["pixels_without_signal"]
    assert left_out > 200
    assert any(
        f"{left_out} of 3000 pixels ({left_out / 30:.1f} %) have an edge step below 4 times" in w
        for w in result.warnings
    )


def test_a_pixel_whose_lines_nearly_meet_at_an_end_is_left_out():
    """Its step is as good as any, but its last value was divided by next to nothing."""
    spectra = EDGES[0][:, None] + RNG.normal(0, 0.02, (41, 100))
    spectra[-1, 7] = 12
    inside = pixels_with_step(spectra, ENERGY, 0.3)
    assert not inside[7] and inside.sum() == 99


def test_a_tall_white_line_in_a_coarse_scan_is_no_noise():
    rng = np.random.default_rng(7)
    energy = np.r_[8250, 8280, 8310, np.linspace(8330, 8360, 6), 8400, 8450, 8500]
    tall = np.arange(10000).reshape(100, 100) >= 5000
    height = np.where(tall, 1.8, 0.3) * np.exp(-(((energy - 8346) / 4) ** 2))[:, None, None]
    mu = height + (0.7 + np.arctan((energy - 8340) / 2) / np.pi)[:, None, None]
    mu += rng.normal(0, 0.01, mu.shape)
    stack = EnergyStack(mu.astype(np.float32), energy, "optical_density", name="coarse")
    result = run(
        ("normalize", NormalizeParams(slope="pixel")), ("cluster", ClusterParams(n_clusters=2)), stack=stack
    )
    labels = result.labels["clusters"]
    assert (labels > 0).all() and len({*labels[tall]}) == len({*labels[~tall]}) == 1
