"""Spectra as a text file that references are read from."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.io.spectra_file import write_spectra

ENERGY = np.linspace(8300.0, 8400.0, 21) + 0.1234


def test_spectra_come_back_as_references(tmp_path):
    rng = np.random.default_rng(0)
    spectra = {"cluster_1": rng.random(21), "cluster_2": rng.random(21).astype(np.float32)}
    assert write_spectra(tmp_path / "means.csv", ENERGY, spectra) == 0
    read = nx.read_references(tmp_path / "means.csv")
    assert [one.name for one in read] == list(spectra)
    for one in read:
        np.testing.assert_allclose(one.energy, ENERGY, rtol=1e-9)
        np.testing.assert_allclose(one.mu, spectra[one.name], rtol=1e-9)


def test_energies_without_a_value_are_left_out_and_counted(tmp_path):
    lost, whole = np.ones(21), np.arange(21.0)
    lost[[3, 7]] = np.nan
    assert write_spectra(tmp_path / "means.csv", ENERGY, {"a": lost, "b": whole}) == 2
    assert all(one.energy.size == 19 for one in nx.read_references(tmp_path / "means.csv"))
    with pytest.raises(InputError, match="0 of 21 energies"):
        write_spectra(tmp_path / "none.csv", ENERGY, {"a": np.full(21, np.nan), "b": whole})
    assert not (tmp_path / "none.csv").exists()


def test_a_name_with_a_comma_stays_one_column(tmp_path):
    write_spectra(tmp_path / "means.csv", ENERGY, {"Ni, metal": np.ones(21), "NiO": np.zeros(21)})
    assert len(nx.read_references(tmp_path / "means.csv")) == 2


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFileError, match=r"means\.csv"):
        write_spectra(tmp_path / "file" / "means.csv", ENERGY, {"a": np.ones(21)})
