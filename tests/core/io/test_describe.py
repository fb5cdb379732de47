"""What a look at a file says: every dataset with its size, and why energies, flats and the pixel size were taken."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_xanes._core.io.describe import in_options
from napari_xanes.cli import app

RAW = np.random.default_rng(1).integers(200, 5000, (5, 12, 17)).astype(np.uint16)


def test_inspect_all_lists_every_dataset_with_its_size_and_says_why(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["a/energy"] = np.linspace(8300, 8340, 5)
        file["a/img"] = RAW
        file["a/flat"] = RAW[0]
        file["a/note"] = "x"
        file["a/img"].attrs["pixel_size_um"] = 0.25
    done = CliRunner().invoke(app, ["inspect", "--all", str(tmp_path / "scan.h5")])
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    size = f"{RAW.nbytes / 1e3:.3g} kB" if RAW.nbytes >= 1000 else f"{RAW.nbytes} bytes"
    assert lines[0] == f"dataset: /a/img {RAW.shape} {RAW.dtype}, {size}"
    assert [line.split()[1] for line in lines[:4]] == ["/a/img", "/a/flat", "/a/energy", "/a/note"]
    assert "energy reason: recognised by name" in lines and "flat source: /a/flat" in lines
    assert "flat reason: found with the images, as their flats" in lines
    assert (
        "pixel size: 0.25 um" in lines
        and "pixel size reason: stated in the file, /a/img@pixel_size_um" in lines
    )


def test_inspect_all_lists_what_is_held_where_the_scan_cannot_be_opened(tmp_path):
    np.savez(tmp_path / "a.npz", one=RAW, two=RAW, energy=np.arange(5.0))
    done = CliRunner().invoke(app, ["inspect", "--all", str(tmp_path / "a.npz")])
    assert done.exit_code == 1 and done.stdout.count("dataset: ") == 3
    assert "name the images with --images" in done.stderr and "images=" not in done.stderr


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("name the right ones with energy=", "name the right ones with --energy"),
        ("give them with energy= (a file)", "give them with --energy (a file)"),
        ("if so, say signal='transmission'", "if so, say --signal 'transmission'"),
        ("say so with axis=.", "say so with --axis."),
        ("complex_as='phase' for it, energy_unit='keV'", "--complex 'phase' for it, --energy-unit 'keV'"),
        ("images='Ni_K/<scaler>' divides", "--images 'Ni_K/<scaler>' divides"),
        ("the file my_energy=3.h5 is empty", "the file my_energy=3.h5 is empty"),
    ],
)
def test_keywords_are_options_on_the_command_line(sentence, expected):
    assert in_options(sentence) == expected
