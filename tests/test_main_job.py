"""The main job end to end, on measured data and on phantoms whose truth is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from blas import two_blas_threads

import napari_xanes as nx

NI_STEPS = """
[[step]]
do = "flat_field"

[[step]]
do = "optical_density"
{align}
[[step]]
do = "fit"
references = ["{refs}/ref_LiNiO2.txt", "{refs}/ref_NiO.txt"]
background = [0, 1]
"""


ALIGN = """
[[step]]
do = "align"
reference = 0  # the phantom's truth lies where the first frame shows the sample
"""


def write_ni_recipe(folder: Path, data_dir: Path, *, align: bool = True) -> Path:
    path = folder / ("recipe.toml" if align else "unaligned.toml")
    steps = NI_STEPS.format(align=ALIGN if align else "", refs=data_dir / "refs" / "ni")
    path.write_text(f"schema = 1\n{steps}")
    return path


def run_cli(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "napari_xanes", *map(str, words)], capture_output=True, text=True, timeout=300
    )


def fraction_rmse(fractions: np.ndarray, truth: Path, valid: float = 0.999) -> float:
    """Error over all components and all pixels of the truth's mask, wild ratios clipped to -1..2."""
    with h5py.File(truth) as file:
        inside = file["mask"][()].astype(bool)
        expected = file["fraction"][()][:, inside]
    found = fractions[:, inside]
    assert np.isfinite(found).mean() > valid, "pixels of the sample have no result"
    return float(np.sqrt(np.nanmean((np.clip(found, -1, 2) - expected) ** 2)))


def fractions_of(result: nx.Result) -> np.ndarray:
    return np.stack([data for name, data in result.maps.items() if name.startswith("fraction_")])


@pytest.fixture(scope="module")
def ni_run(data_dir, tmp_path_factory):
    """The raw Ni scan through the command line."""
    folder = tmp_path_factory.mktemp("ni")
    recipe = write_ni_recipe(folder, data_dir)
    done = run_cli(
        "run", recipe, data_dir / "phantom_ni_2d" / "ni_txm_raw.h5", "--out", folder, "--export", "tiff"
    )
    assert done.returncode == 0, done.stderr
    return folder, nx.load_result(folder / "ni_txm_raw.h5")


def test_raw_scan_to_fractions_by_its_own_alignment(ni_run, data_dir):
    folder, result = ni_run
    assert fraction_rmse(fractions_of(result), data_dir / "phantom_ni_2d" / "truth.h5") <= 0.037
    assert list(folder.glob("**/*fraction*LiNiO2*.tif*"))


def test_drift_is_found(ni_run, data_dir):
    _, result = ni_run
    assert drift_error(result, data_dir / "phantom_ni_2d" / "truth.h5") <= 0.030


def test_tiff_gives_the_same_maps(ni_run, data_dir, tmp_path):
    folder, (_, expected) = data_dir / "phantom_ni_2d", ni_run
    recipe = nx.Recipe.load(write_ni_recipe(tmp_path, data_dir))
    files = {"flat": folder / "flat.tif", "dark": folder / "dark.tif"}
    same_energies = nx.read_stack(folder / "xanes_raw.tif", energy=expected.energy, energy_unit="eV", **files)
    result = nx.run_recipe(recipe, same_energies)
    assert result.maps.keys() == expected.maps.keys()
    for name, data in expected.maps.items():
        np.testing.assert_array_equal(result.maps[name], data, err_msg=name)

    written = nx.read_stack(folder / "xanes_raw.tif", energy=folder / "energy_keV.txt", **files)  # to 1 meV
    with h5py.File(folder / "truth.h5") as file:
        inside = file["mask"][()].astype(bool)
    again = nx.run_recipe(nx.Recipe.of(expected), written)  # with the drift that was found
    change = fractions_of(again)[:, inside] - fractions_of(expected)[:, inside]
    assert np.nanpercentile(np.abs(change), 99.9) < 1e-3


def test_unaligned_scan_is_far_worse(data_dir, whole_or_piece, tmp_path):
    """So that a broken alignment cannot hide behind a fit that forgives."""
    recipe = write_ni_recipe(tmp_path, data_dir, align=False)
    result = nx.run_recipe(recipe, data_dir / "phantom_ni_2d" / "ni_txm_raw.h5")
    truth, valid = data_dir / "phantom_ni_2d" / "truth.h5", whole_or_piece(0.999, 0.99)
    assert 0.7 < fraction_rmse(fractions_of(result), truth, valid) < 1.1


def test_memory_streaming_and_threads_give_the_same_bits(ni_run, data_dir, tmp_path):
    recipe = nx.Recipe.load(write_ni_recipe(tmp_path, data_dir))
    scan = data_dir / "phantom_ni_2d" / "ni_txm_raw.h5"
    for kwargs in (
        {"in_memory": True},
        {"in_memory": False, "workers": 1},
        {"in_memory": False, "workers": 5},
    ):
        with two_blas_threads():  # the other run may have had one
            result = nx.run_recipe(recipe, scan, **kwargs)
        for name, data in ni_run[1].maps.items():
            np.testing.assert_array_equal(result.maps[name], data, err_msg=f"{name} {kwargs}")


def test_recipe_of_a_result_gives_the_same_bits(ni_run, data_dir, tmp_path):
    """What was automatic is resolved in the saved recipe; running that changes nothing."""
    _, result = ni_run
    nx.Recipe.of(result).save(tmp_path / "again.toml")
    again = nx.run_recipe(tmp_path / "again.toml", data_dir / "phantom_ni_2d" / "ni_txm_raw.h5")
    for name, data in result.maps.items():
        np.testing.assert_array_equal(again.maps[name], data, err_msg=name)


def test_normalised_chain_reaches_the_noise_too(data_dir, tmp_path):
    text = write_ni_recipe(tmp_path, data_dir).read_text().replace("background = [0, 1]", "")
    (tmp_path / "norm.toml").write_text(
        text.replace('[[step]]\ndo = "fit"', '[[step]]\ndo = "normalize"\n\n[[step]]\ndo = "fit"')
    )
    result = nx.run_recipe(tmp_path / "norm.toml", data_dir / "phantom_ni_2d" / "ni_txm_raw.h5")
    assert fraction_rmse(fractions_of(result), data_dir / "phantom_ni_2d" / "truth.h5") <= 0.037
    with h5py.File(data_dir / "phantom_ni_2d" / "truth.h5") as file:
        inside, thickness = file["mask"][()].astype(bool), file["thickness"][()]
    error = result.maps["edge_step"][inside] - thickness[inside]
    assert np.sqrt(np.mean(error**2)) <= 0.03


def drift_error(result: nx.Result, truth: Path) -> float:
    """RMS length of the error of the displacements, their common offset taken off."""
    with h5py.File(truth) as file:
        error = result.extra["drift"].shifts - file["shifts"][()]
    error -= error.mean(axis=0)
    return float(np.sqrt((error**2).sum(axis=1).mean()))


@pytest.mark.parametrize(
    ("folder", "scan", "first", "most", "most_drift"),
    [
        ("phantom_ni_2d", "ni_txm_raw.h5", ["flat_field", "optical_density"], 0.034, 0.030),
        ("phantom_ni_3d", "", [], 0.094, 0.045),
    ],
)
def test_nonnegative_fractions_by_own_alignment(
    data_dir, whole_or_piece, folder, scan, first, most, most_drift
):
    """A plain chain with the true shifts attains 0.0309 and 0.0857."""
    references = [str(data_dir / "refs" / "ni" / f"ref_{name}.txt") for name in ("LiNiO2", "NiO")]
    fit = {"do": "fit", "references": references, "background": [0, 1], "constraint": "nonnegative"}
    steps = [*({"do": name} for name in first), {"do": "align", "reference": 0}, fit]
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps})
    result = nx.run_recipe(recipe, data_dir / folder / scan)
    truth = data_dir / folder / "truth.h5"
    assert fraction_rmse(fractions_of(result), truth) <= whole_or_piece(most, 1.2 * most)
    assert drift_error(result, truth) <= whole_or_piece(most_drift, 1.5 * most_drift)


@pytest.mark.parametrize(("constraint", "most"), [("none", 0.0170), ("nonnegative", 0.0124)])
def test_four_references_by_direct_fit_with_a_line(data_dir, constraint, most):
    folder = data_dir / "phantom_fe_4ref"
    with h5py.File(folder / "truth.h5") as file:
        names = [
            n.decode() if isinstance(n, bytes) else str(n)
            for n in file.attrs.get("names", file["amount"].attrs.get("names"))
        ]
    table = {
        "schema": 1,
        "step": [
            {
                "do": "fit",
                "references": [str(data_dir / "refs" / "fe" / "FeLibNov2021.nor")],
                "names": names,
                "background": [0, 1],
                "constraint": constraint,
                "energy_range": [7090, 7200],
            }
        ],
    }
    result = nx.run_recipe(nx.Recipe.from_dict(table), folder / "absorbance.tif")
    found = np.stack([result.maps[f"fraction_{name}"] for name in names])
    assert fraction_rmse(found, folder / "truth.h5") <= most


def test_published_weights_of_a_measured_mixture(data_dir):
    """NSLS-II HXN, LiFePO4 / pyrite / stainless steel / hematite; references held below 7090 eV as published."""
    table = np.genfromtxt(
        data_dir / "refs" / "hxn_lcf_check" / "xanes_fit_plot.csv", delimiter=",", names=True
    )
    library = {r.name: r for r in nx.read_references(data_dir / "refs" / "fe" / "FeLibNov2021.nor")}
    chosen = [library[name] for name in ("LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP")]
    energy = table[table.dtype.names[0]]
    fit = nx.fit_references(table["Data_y"], energy, chosen, extrapolate="hold")
    np.testing.assert_allclose(fit.coefficients, [459.4655, 106.6033, 149.5321, 180.6815], atol=0.01)
    assert fit.rms == pytest.approx(11.107, abs=0.01)


def test_measured_iron_l_edge_maxima(data_dir):
    """ALS 11.0.2 STXM stack of plume particles: I0 spectrum instead of flats, short windows."""
    folder = data_dir / "stxm_fe_l"
    stack = nx.read_stack(
        folder / "stack_transmission.tif", energy=folder / "energy_eV.txt", flat=folder / "i0_counts.txt"
    )
    table = {
        "schema": 1,
        "step": [
            {"do": "flat_field"},
            {"do": "optical_density"},
            {"do": "align"},
            {"do": "normalize", "pre_edge": [700, 704], "post_edge": [728, 730], "slope": "shared"},
        ],
        "output": {"stack": True},
    }
    result = nx.run_recipe(nx.Recipe.from_dict(table), stack)
    drift = result.extra["drift"].shifts
    assert np.abs(drift - np.median(drift, axis=0)).max() < 1.5, "the frames were aligned by their authors"
    rich = result.maps["thickness"] >= np.nanpercentile(result.maps["thickness"], 95)
    spectrum = np.nanmean(result.stack.data[:, rich], axis=1)
    for lo, hi, expected in ((706, 708.7, 708.05), (708.7, 712, 709.46), (718, 724, 721.07)):
        window = (stack.energy >= lo) & (stack.energy <= hi)
        found = stack.energy[window][np.argmax(spectrum[window])]
        assert found == pytest.approx(expected, abs=0.3)
