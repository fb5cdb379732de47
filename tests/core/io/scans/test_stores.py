"""HyperSpy signals and Zarr stores, after the layouts of their writers."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._reader import get_reader

zarr = pytest.importorskip("zarr")
RNG = np.random.default_rng(6)
E = np.linspace(700.0, 730.0, 7)
IMAGES = RNG.random((7, 6, 9)).astype("f4")


# -- HyperSpy -----------------------------------------------------------------------------------------


def signal(root, images, order, title="Fe map", unit="eV", uniform=True):
    """Write what HyperSpy does: the data and one group per axis."""
    group = root.require_group("Experiments").create_group(title)
    stored = np.ascontiguousarray(images.transpose(["eyx".index(axis) for axis in order]))
    if isinstance(group, h5py.Group):
        group["data"] = stored
    else:
        group.create_array("data", shape=stored.shape, dtype=stored.dtype, chunks=stored.shape)[...] = stored
    factor = 1000.0 if unit == "keV" else 1.0
    for i, axis in enumerate(order):
        axes = group.create_group(f"axis-{i}")
        scale, offset = ((E[1] - E[0]) / factor, E[0] / factor) if axis == "e" else (0.04, 0.0)
        name = {"e": "Energy", "y": "height", "x": "width"}[axis]
        axes.attrs.update(
            name=name, units=unit if axis == "e" else "µm", size=stored.shape[i], navigate=axis != "e"
        )
        if uniform or axis != "e":
            axes.attrs.update(scale=scale, offset=offset, _type="UniformDataAxis")
        elif isinstance(axes, h5py.Group):
            axes["axis"] = E / factor
        else:
            axes.create_array("axis", shape=E.shape, dtype="f8")[...] = E / factor
    return root


@pytest.mark.parametrize("kind", ["hspy", "zspy"])
@pytest.mark.parametrize("order", ["yxe", "eyx"])
@pytest.mark.parametrize("unit", ["eV", "keV"])
@pytest.mark.parametrize("uniform", [True, False])
def test_a_signal_of_hyperspy(tmp_path, kind, order, unit, uniform):
    path = tmp_path / f"a.{kind}"
    if kind == "hspy":
        with h5py.File(path, "w") as file:
            signal(file, IMAGES, order, unit=unit, uniform=uniform)
    else:
        signal(zarr.open_group(path, mode="w", zarr_format=2), IMAGES, order, unit=unit, uniform=uniform)
    assert get_reader(str(path)) is not None
    stack = nx.read_stack(path)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    np.testing.assert_allclose(stack.energy, E, atol=1e-9)
    assert stack.pixel_size_um == pytest.approx(0.04)
    assert stack.source["energy_reason"] == "declared as an axis"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack.data))[2], IMAGES[2])


def test_of_several_signals_one_is_named(tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        signal(signal(file, IMAGES, "yxe", "one"), IMAGES + 1, "yxe", "two")
    with pytest.raises(
        nx.DataFileError, match="holds the signals one, two, expected one; name it with images="
    ):
        nx.read_stack(tmp_path / "a.hspy")
    np.testing.assert_array_equal(nx.read_stack(tmp_path / "a.hspy", images="two").data[:], IMAGES + 1)


def test_a_signal_without_energies_is_asked_about(tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        signal(file, IMAGES, "eyx", unit="s")
    with pytest.raises(nx.DataFileError, match=r"axes Energy \(7 s\), height .* say so with axis="):
        nx.read_stack(tmp_path / "a.hspy")
    stack = nx.read_stack(tmp_path / "a.hspy", axis=0, energy=E)
    np.testing.assert_array_equal(stack.data[:], IMAGES)


# -- Zarr ---------------------------------------------------------------------------------------------


def ome(path, images, axes, version, labels=None, attrs=None, scale=None):
    store = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    array = store.create_array(
        "0", shape=images.shape, dtype=images.dtype, chunks=(1,) * (images.ndim - 2) + (3, 9)
    )
    array[...] = images
    units = {"c": ("channel", None), "t": ("time", None), "energy": ("energy", "eV")}
    described = [
        {"name": a, "type": units.get(a, ("space", ""))[0], "unit": units.get(a, ("", "micrometer"))[1]}
        for a in axes
    ]
    steps = [{"type": "scale", "scale": scale or [0.03] * images.ndim}]
    found = {
        "multiscales": [
            {
                "version": version,
                "axes": described,
                "datasets": [{"path": "0", "coordinateTransformations": steps}],
            }
        ]
    }
    found |= {"omero": {"channels": [{"label": label} for label in labels]}} if labels else {}
    found |= attrs or {}
    store.attrs.update(found if version == "0.4" else {"ome": found})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", ["cyx", "tczyx", "czyx"])
def test_an_ome_zarr_image_whose_channels_are_energies(tmp_path, version, shape):
    images = {"cyx": IMAGES, "tczyx": IMAGES[None, :, None], "czyx": IMAGES[:, None]}[shape]
    labels = [f"{e:.2f} eV" for e in E]
    path = ome(tmp_path / "a.zarr", images, list(shape), version, labels)
    stack = nx.read_stack(path)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    np.testing.assert_array_equal(stack.data[5, 2:4, 1:3], IMAGES[5, 2:4, 1:3])
    np.testing.assert_allclose(stack.energy, E, atol=0.005)
    assert stack.pixel_size_um == pytest.approx(0.03) and get_reader(str(path)) is not None


def test_an_axis_of_energies_and_a_list(tmp_path):
    path = ome(tmp_path / "a.zarr", IMAGES, ["energy", "y", "x"], "0.5", attrs={"energies": E.tolist()})
    np.testing.assert_allclose(nx.read_stack(path).energy, E)


def test_volumes_over_energy(tmp_path):
    volumes = RNG.random((7, 4, 6, 9)).astype("f4")
    path = ome(tmp_path / "a.zarr", volumes, list("czyx"), "0.4", [f"{e:.2f} eV" for e in E])
    np.testing.assert_array_equal(nx.read_stack(path).data[:], volumes)


def test_time_and_channels_are_asked_about(tmp_path):
    path = ome(tmp_path / "a.zarr", RNG.random((3, 7, 6, 9)).astype("f4"), list("tcyx"), "0.4")
    with pytest.raises(
        nx.DataFileError, match=r"axes t \(3\), c \(7\), y \(6\), x \(9\), .* say so with axis="
    ):
        nx.read_stack(path)


def test_a_picture_without_energies_is_left_to_others(tmp_path):
    path = ome(tmp_path / "a.zarr", IMAGES, list("cyx"), "0.4", ["DAPI", *"abcdef"])
    assert get_reader(str(path)) is None
    with pytest.raises(nx.DataFileError, match="no energies were found"):
        nx.read_stack(path)
    np.testing.assert_array_equal(nx.read_stack(path, energy=E).data[:], IMAGES)


@pytest.mark.parametrize("format_", [2, 3])
def test_a_plain_array_and_a_group_of_arrays(tmp_path, format_):
    zarr.create_array(tmp_path / "a.zarr", data=IMAGES, zarr_format=format_)
    np.testing.assert_array_equal(nx.read_stack(tmp_path / "a.zarr", energy=E).data[:], IMAGES)
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=format_)
    group.create_array("scan/images", data=IMAGES)
    group.create_array("scan/energy", data=E / 1000)
    stack = nx.read_stack(tmp_path / "b.zarr")
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    np.testing.assert_allclose(stack.energy, E)


def test_a_damaged_store_is_said(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text("{broken")
    with pytest.raises(nx.DataFileError, match="cannot be read as a Zarr store"):
        nx.read_stack(tmp_path / "a.zarr")
