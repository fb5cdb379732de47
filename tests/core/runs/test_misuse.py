"""What is given by mistake is named in one sentence, whichever door it comes through."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.fit.fit import FitParams
from napari_xanes._core.runs import batch
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.arange(8300, 8400, 5.0)
MU = 0.5 + np.arctan((ENERGY - 8340) / 2)[:, None, None] / np.pi + np.zeros((20, 4, 5))
REFERENCES = [nx.Reference(f"r{e0}", ENERGY, np.arctan((ENERGY - e0) / 2)) for e0 in (8340, 8350)]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_written_page_by_page_is_one_stack(tmp_path, compression):
    counts = np.random.default_rng(0).integers(100, 9000, (20, 6, 7)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "loop.tif") as writer:
        for frame in counts:
            writer.write(frame, compression=compression)
    stack = nx.read_stack(tmp_path / "loop.tif", energy=ENERGY)
    np.testing.assert_array_equal(np.asarray(stack.data[:]), counts)


def test_decimal_commas_are_asked_about(tmp_path):
    tifffile.imwrite(
        tmp_path / "scan.tif", np.ones((20, 6, 7), np.uint16) * np.arange(1, 21)[:, None, None].astype("u2")
    )
    (tmp_path / "z.txt").write_text("\n".join(f"{e + 0.75:.2f}".replace(".", ",") for e in ENERGY))
    with pytest.raises(nx.DataFileError, match="'8300,75' may be one number with a decimal comma or two"):
        nx.read_stack(tmp_path / "scan.tif", energy=tmp_path / "z.txt")
    with pytest.raises(nx.DataFileError, match=r"all 20 energies of .* are 8300 eV"):
        nx.read_stack(tmp_path / "scan.tif", energy=np.full(20, 8300.0))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: nx.fit_references(MU, ENERGY, REFERENCES, constraint="positive"),
            "constraint is 'positive', expected one of",
        ),
        (
            lambda: nx.fit_references(MU, ENERGY, ["ref.txt"]),
            "references is .*, expected a list, each a Reference",
        ),
        (
            lambda: nx.fit_references(MU, ENERGY, REFERENCES, background=("a",)),
            "background is .*, expected a list, each a whole number",
        ),
        (lambda: nx.fit_references(MU * np.nan, ENERGY, REFERENCES), "mu holds no valid number"),
        (lambda: nx.normalize_edge(MU, ENERGY / 1000), "8.3 to 8.395 and must be in eV; if they are keV"),
        (lambda: nx.normalize_edge(MU, ENERGY, slope="x"), "slope is 'x', expected one of pixel, shared"),
        (lambda: nx.normalize_edge(MU, ENERGY, pre_edge=8222), "pre_edge is 8222, expected two numbers"),
        (lambda: nx.apply_drift(MU, np.zeros((20, 2))), "drift is an array .*, expected a Drift"),
        (lambda: nx.flat_field(MU + 1j, MU[0]), "expected real numbers"),
        (lambda: nx.optical_density(MU + 1j), "expected real numbers"),
        (lambda: nx.Recipe.from_dict({"schema": 1, "step": [{"do": ["fit"]}]}), r"do is \['fit'\]"),
        (lambda: nx.Recipe.from_dict({"schema": True}), "schema is True"),
        (lambda: nx.Recipe.from_dict({"schema": 1, "input": "x"}), "is 'x', expected a table"),
    ],
)
def test_one_sentence(call, said):
    with pytest.raises(nx.InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_run_is_refused_before_it_begins(tmp_path):
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "optical_density"}]})
    scan = tmp_path / "scan.nxs"
    scan.write_bytes(b"x")
    (tmp_path / "scan.toml").write_text("mine")
    (tmp_path / "out" / "scan.h5").mkdir(parents=True)
    with pytest.raises(nx.DataFileError, match=r"scan.toml is not of this program"):
        batch.plan(recipe, [scan], tmp_path)
    with pytest.raises(nx.DataFileError, match=r"scan.nxs is a file, expected a folder"):
        batch.plan(recipe, [scan], scan)
    with pytest.raises(nx.DataFileError, match=r"scan.h5 is a folder"):
        batch.plan(recipe, [scan], tmp_path / "out", overwrite=True)
    with pytest.raises(nx.InputError, match="the recipe has no steps"):
        batch.plan(nx.Recipe(()), [scan], tmp_path / "new")


def fit_warnings(mu, *steps):
    stack = nx.EnergyStack(mu.astype(np.float32), ENERGY, "optical_density")
    return " ".join(run_steps(stack, steps).warnings)


@pytest.mark.parametrize("steps", [("align", "normalize"), ("align", "flat_field", "optical_density")])
def test_counts_that_cannot_become_absorption_are_refused_before_the_drift_is_measured(steps):
    stack, told = nx.EnergyStack(1000 * MU, ENERGY, "counts", name="scan"), []
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": name} for name in steps]})
    with pytest.raises(nx.InputError, match=r"no flats|needs optical density, the data are counts"):
        run_steps(stack, recipe.steps, progress=lambda *said: told.append(said))
    assert not told


def test_doubtful_choices_are_said(tmp_path):
    for reference in REFERENCES:
        np.savetxt(tmp_path / f"{reference.name}.txt", np.stack([reference.energy, reference.mu], axis=1))
    files = tuple(str(tmp_path / f"{reference.name}.txt") for reference in REFERENCES)
    assert "without a background" in fit_warnings(MU, ("fit", FitParams(references=files)))
    assert not fit_warnings(MU, ("fit", FitParams(references=files, background=(0, 1))))

    windows = {"e0": 8340, "pre_edge": (8300, 8320), "post_edge": (8365, 8395)}
    steep = MU * np.where(ENERGY > 8340, 1 - 8e-3 * (ENERGY - 8340), 1)[:, None, None]
    by_line = NormalizeParams(**windows, divide_by="line")
    assert "divide_by = 'step'" in fit_warnings(steep, ("normalize", by_line))
    assert "divided by the edge step" in fit_warnings(steep, ("normalize", NormalizeParams(**windows)))
    assert not fit_warnings(MU, ("normalize", NormalizeParams(**windows)))
    few = windows | {"pre_edge": (8300, 8305), "post_edge": (8390, 8395)}
    assert "slopes were" in fit_warnings(MU, ("normalize", NormalizeParams(**few)))
    assert "slope = 'shared'" in fit_warnings(
        MU, ("normalize", NormalizeParams(**few, slope="pixel", post_order=1))
    )
