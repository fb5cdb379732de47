"""Flat field, -ln, normalisation and fit on phantoms whose drift is undone by its true value, and on real data.

Alignment is not judged here; what these steps leave of the truth is compared with what plain numerical
programs attain on the same data (file VERIFY.md beside the data).
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
from scipy import ndimage

import napari_xanes as nx

IRON = ("LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP")


def rmse(fractions, truth):
    """Root mean squared error in the truth's mask, wild ratios clipped to -1..2."""
    found = fractions[:, truth["mask"]]
    assert np.isfinite(found).all()
    return np.sqrt(np.mean((np.clip(found, -1, 2) - truth["fraction"][:, truth["mask"]]) ** 2))


def read_truth(path):
    with h5py.File(path) as file:
        truth = {name: file[name][()] for name in ("mask", "fraction", "thickness")}
        truth["shifts"] = file["shifts"][()] if "shifts" in file else None
    return truth | {"mask": truth["mask"].astype(bool)}


@pytest.fixture(scope="module")
def nickel(data_dir):
    """Optical density with the true drift undone, energies, truth."""
    folder = data_dir / "phantom_ni_2d"
    truth = read_truth(folder / "truth.h5")
    with h5py.File(folder / "ni_txm_raw.h5") as file:
        energy = file["X_eng"][()] * 1000
        transmission = nx.flat_field(file["img_xanes"][()], file["img_bkg"][()], file["img_dark"][()])
    moved = [
        ndimage.shift(t, -s, order=3, mode="nearest")
        for t, s in zip(transmission, truth["shifts"], strict=True)
    ]
    return nx.optical_density(np.stack(moved)), energy, truth


@pytest.fixture(scope="module")
def nickel_references(data_dir):
    return nx.read_references(*(data_dir / "refs" / "ni" / f"ref_{name}.txt" for name in ("LiNiO2", "NiO")))


@pytest.fixture(scope="module")
def iron_library(data_dir):
    library = {r.name: r for r in nx.read_references(data_dir / "refs" / "fe" / "FeLibNov2021.nor")}
    return [library[name] for name in IRON]


@pytest.mark.parametrize("constraint", ["none", "nonnegative"])
def test_nickel_by_direct_fit_with_a_line(nickel, nickel_references, constraint):
    density, energy, truth = nickel
    fit = nx.fit_references(density, energy, nickel_references, background=(0, 1), constraint=constraint)
    assert rmse(fit.fractions, truth) <= 0.0315  # attained elsewhere: 0.0310


@pytest.mark.parametrize(
    ("divide_by", "slope", "attained"),
    [("line", "pixel", 0.0356), ("step", "pixel", 0.0335), ("line", "shared", 0.0322)],
)
def test_nickel_by_normalisation(nickel, nickel_references, divide_by, slope, attained):
    density, energy, truth = nickel
    edge = nx.normalize_edge(density, energy, divide_by=divide_by, slope=slope)
    assert (edge.e0, edge.edge) == (8333.0, "Ni K")
    np.testing.assert_allclose([*edge.pre_edge, *edge.post_edge], [8222, 8313, 8388, 8577], atol=0.1)
    fit = nx.fit_references(edge.normalized, energy, nickel_references)
    assert rmse(fit.fractions, truth) <= attained
    step_error = (edge.edge_step - truth["thickness"])[truth["mask"]]
    assert np.sqrt(np.mean(step_error**2)) <= (0.015 if slope == "shared" else 0.028)


@pytest.mark.parametrize(("constraint", "attained"), [("none", 0.0163), ("nonnegative", 0.0119)])
def test_four_iron_phases_by_direct_fit_with_a_line(
    data_dir, whole_or_piece, iron_library, constraint, attained
):
    folder = data_dir / "phantom_fe_4ref"
    truth = read_truth(folder / "truth.h5")
    fit = nx.fit_references(
        tifffile.imread(folder / "absorbance.tif"),
        np.loadtxt(folder / "energy_eV.txt"),
        iron_library,
        background=(0, 1),
        energy_range=(7090, 7200),
        constraint=constraint,
    )
    assert fit.energy.size == 70
    assert rmse(fit.fractions, truth) <= whole_or_piece(attained, 1.06 * attained)


def test_published_weights_of_a_measured_mixture(data_dir, iron_library):
    table = np.genfromtxt(data_dir / "refs/hxn_lcf_check/xanes_fit_plot.csv", delimiter=",", names=True)
    energy, measured = table[table.dtype.names[0]], table["Data_y"]
    for constraint in ("none", "nonnegative"):
        fit = nx.fit_references(measured, energy, iron_library, extrapolate="hold", constraint=constraint)
        np.testing.assert_allclose(fit.coefficients, [459.4655, 106.6033, 149.5321, 180.6815], atol=0.01)
        np.testing.assert_allclose(fit.fractions, [0.5126, 0.1189, 0.1668, 0.2016], atol=1e-4)
        assert fit.rms == pytest.approx(11.107, abs=0.001) and fit.r_factor == pytest.approx(
            1.99e-4, abs=1e-6
        )
        assert ((0 < fit.sigma) & (fit.sigma < 0.02)).all()


def test_measured_iron_l_edge(data_dir):
    """STXM at ALS 11.0.2, divided by a beam spectrum; the richest 5 % of the pixels have their maxima as measured."""
    folder = data_dir / "stxm_fe_l"
    energy, i0 = np.loadtxt(folder / "energy_eV.txt"), np.loadtxt(folder / "i0_counts.txt", ndmin=2)[:, -1]
    density = nx.optical_density(nx.flat_field(tifffile.imread(folder / "stack_transmission.tif"), i0))
    edge = nx.normalize_edge(density, energy, pre_edge=(700, 704), post_edge=(728, 730))
    assert edge.edge == "Fe L3"
    mean = density[:, edge.thickness >= np.nanpercentile(edge.thickness, 95)].mean(axis=1)
    for window, expected in (((706, 708.7), 708.05), ((708.7, 712), 709.46), ((718, 724), 721.07)):
        inside = (energy >= window[0]) & (energy <= window[1])
        assert energy[inside][np.argmax(mean[inside])] == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("fe/Hematite FeXANES.e", 7126),
        ("xas/feo_rt1.xdi", 7123),
        ("ni/ref_NiO.txt", 8342.5),
        ("xas/EMG003.txt", 7122),
    ],
)
def test_edge_energy_of_measured_references(data_dir, file, expected):
    """Grids of 0.1 to 0.5 eV; the steepest rises are those seen in the plotted derivative."""
    (reference,) = nx.read_references(data_dir / "refs" / file)
    assert nx.find_e0(reference.energy, reference.mu) == pytest.approx(expected, abs=1.5)
