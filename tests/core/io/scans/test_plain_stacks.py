"""Stacks of plain numbers: NumPy, MATLAB 5, aXis2000, X1A and MRC, written here after their layouts."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import scipy.io
import tifffile

from napari_xanes import DataFileError, read_stack
from napari_xanes._reader import get_reader

E = np.linspace(8300, 8400, 6)
OD = np.random.default_rng(0).random((6, 7, 9)).astype("f4")
E_LIST = {"energy": E}


def write_npy(path):
    np.save(path, OD)


def write_npy_fortran(path):
    np.save(path, np.asfortranarray(OD))


def write_npz(path):
    np.savez(path, img=OD, energy=E, current=np.linspace(300, 301, 6))


def write_mat(path):
    scipy.io.savemat(path, {"stack": OD.transpose(1, 2, 0), "energy": E[None], "note": "x"})


def write_ncb(path):
    OD.tofile(path)
    lines = ["\t9\t7\t-1.000000", "\t0.0\t0.40", "\t0.0\t0.30", "\t6", *(f"\t{e:.6f}" for e in E)]
    path.with_suffix(".dat").write_text(
        "\n".join([*lines, *(f"image{i}\t{e}\t1.0" for i, e in enumerate(E))])
    )


def write_stk(path):
    numbers = [np.arange(9) * 0.05, np.arange(7) * 0.05, E, np.ones(6), OD]
    path.write_bytes(struct.pack(">3i", 9, 7, 6) + b"".join(n.astype(">f4").tobytes() for n in numbers))


def write_mrc(path):
    head = bytearray(1024 + 80)
    struct.pack_into("<10i", head, 0, 9, 7, 6, 2, 0, 0, 0, 9, 7, 6)
    struct.pack_into("<3f", head, 40, 9 * 500.0, 7 * 500.0, 6.0)
    struct.pack_into("<2i", head, 88, 0, 80)
    head[208:216] = b"MAP \x44\x44\0\0"
    path.write_bytes(bytes(head) + OD.tobytes())


WRITERS = [
    ("a.npy", write_npy, E_LIST, None),
    ("f.npy", write_npy_fortran, E_LIST, None),
    ("a.npz", write_npz, {}, None),
    ("a.mat", write_mat, {}, None),
    ("a.ncb", write_ncb, {}, 0.05),
    ("a.stk", write_stk, {}, 0.05),
    ("a.mrc", write_mrc, E_LIST, 0.05),
]


@pytest.mark.parametrize(("name", "write", "options", "size"), WRITERS)
def test_stacks_open_with_energies_and_pixel_size(tmp_path, name, write, options, size):
    write(tmp_path / name)
    stack = read_stack(tmp_path / name, **options)
    np.testing.assert_allclose(stack.energy, E)
    assert stack.shape == OD.shape and stack.data.dtype == np.float32
    assert stack.pixel_size_um == (None if size is None else pytest.approx(size, rel=1e-5))
    np.testing.assert_array_equal(stack.data[:], OD)
    np.testing.assert_array_equal(stack.data[3, 2:5, 1:4], OD[3, 2:5, 1:4])
    np.testing.assert_array_equal(stack.data[:, 4, 8], OD[:, 4, 8])


@pytest.mark.parametrize(("name", "write", "options", "size"), WRITERS)
def test_stacks_open_by_the_reader_of_the_window(tmp_path, name, write, options, size):
    write(tmp_path / name)
    if options:
        np.savetxt(tmp_path / "energies.txt", E)
    read = get_reader(str(tmp_path / name))
    (image, _, kind) = read(str(tmp_path / name))[0]
    assert kind == "image" and image.shape == OD.shape
    np.testing.assert_array_equal(image[2], OD[2])


@pytest.mark.parametrize(
    ("name", "write", "options", "size"), [w for w in WRITERS if w[0] not in ("a.npz", "a.mat")]
)
def test_a_cut_file_is_named(tmp_path, name, write, options, size):
    write(tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[:-100])
    with pytest.raises(DataFileError, match=rf"{name[0]}\."):
        read_stack(tmp_path / name, energy=E)


def test_counts_of_axis2000_are_scaled(tmp_path):
    write_ncb(tmp_path / "a.ncb")
    counts = (OD * 1000).astype("<i2")
    counts.tofile(tmp_path / "a.ncb")
    text = (tmp_path / "a.dat").read_text().replace("-1.000000", "1000.0")
    (tmp_path / "a.dat").write_text(text)
    np.testing.assert_allclose(read_stack(tmp_path / "a.ncb").data[:], counts / 1000.0, rtol=1e-6)
    (tmp_path / "a.dat").unlink()
    with pytest.raises(DataFileError, match=r"needs the file a\.dat beside it"):
        read_stack(tmp_path / "a.ncb")


def test_metamorph_stk_stays_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "m.stk", OD, photometric="minisblack")
    np.testing.assert_array_equal(read_stack(tmp_path / "m.stk", energy=E).data[:], OD)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_several_arrays_are_asked_for(tmp_path, suffix):
    arrays = {"od": OD, "raw": OD * 2, "eng": E}
    path = tmp_path / f"a{suffix}"
    np.savez(path, **arrays) if suffix == ".npz" else scipy.io.savemat(path, arrays)
    with pytest.raises(DataFileError, match=r"several stacks .*name the images with images="):
        read_stack(path)
    stack = read_stack(path, images="raw")
    np.testing.assert_array_equal(stack.data[:], OD * 2)
    np.testing.assert_array_equal(stack.energy, E)


def test_an_axis_that_is_open_is_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", img=np.random.default_rng(1).random((5, 6, 6)), energy=E)
    with pytest.raises(DataFileError, match=r"say axis=1 or axis=2"):
        read_stack(tmp_path / "a.npz")
    assert read_stack(tmp_path / "a.npz", axis=2).shape == (6, 5, 6)


def test_files_with_one_image_each(tmp_path):
    for k, frame in enumerate(OD):
        np.save(tmp_path / f"s_{k:02d}.npy", frame)
    np.savetxt(tmp_path / "energies.txt", E)
    stack = read_stack(tmp_path)
    np.testing.assert_array_equal(stack.data[:], OD)


def test_volumes_of_mrc(tmp_path):
    write_mrc(tmp_path / "v.mrc")
    raw = bytearray((tmp_path / "v.mrc").read_bytes())
    struct.pack_into("<i", raw, 36, 3)
    struct.pack_into("<i", raw, 88, 401)
    (tmp_path / "v.mrc").write_bytes(bytes(raw))
    stack = read_stack(tmp_path / "v.mrc", energy=[8300, 8400])
    np.testing.assert_array_equal(stack.data[:], OD.reshape(2, 3, 7, 9))


def test_a_folder_of_mrc_volumes_is_one_volume_an_energy(tmp_path):
    for name in ("v_8300.mrc", "v_8400.mrc"):
        write_mrc(tmp_path / name)
    stack = read_stack(tmp_path, energy=[8300, 8400], signal="optical_density")
    np.testing.assert_array_equal(stack.data[1], OD)
    assert stack.shape == (2, *OD.shape)


def test_mrc_of_another_program(tmp_path):
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(OD)
        file.voxel_size = 500.0
    stack = read_stack(tmp_path / "a.mrc", energy=E)
    np.testing.assert_array_equal(stack.data[:], OD)
    assert stack.pixel_size_um == pytest.approx(0.05)


def test_plain_stacks_are_not_read_when_opened(tmp_path, monkeypatch):
    """A large sparse file opens at once; only the frames that are asked for are read."""
    shape = (200, 1024, 1024)
    with open(tmp_path / "big.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(np.linspace(0, 1, 1024 * 1024, dtype="f4").tobytes())
        file.truncate(file.tell() + 4 * 199 * 1024 * 1024)
    stack = read_stack(tmp_path / "big.npy", energy=np.linspace(8000, 8300, 200))
    assert stack.shape == shape and stack.data[0, 0, 0] == 0 and stack.data[0, 1023, 1023] == 1
