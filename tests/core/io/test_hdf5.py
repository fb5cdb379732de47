"""HDF5 and NeXus: datasets are found where that is certain, and asked for where it is not."""

from __future__ import annotations

import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest

from napari_xanes import DataFileError, read_stack
from napari_xanes._core.io.hdf5 import files_kept_open

N = 4
RAW = np.random.default_rng(3).integers(50, 4000, (N, 6, 5)).astype(np.uint16)
ENERGY = np.array([8.3, 8.32, 8.35, 8.4])


def write(tmp_path, name="scan.h5", **items):
    with h5py.File(tmp_path / name, "w") as file:
        for key, value in items.items():
            file[key.replace("__", "/")] = value
    return tmp_path / name


def test_fxi_names(tmp_path):
    flat, dark = RAW + 5000, np.full((3, 6, 5), 9, np.uint16)
    stack = read_stack(write(tmp_path, img_xanes=RAW, img_bkg=flat, img_dark=dark, X_eng=ENERGY, scan_id=7))
    np.testing.assert_array_equal(stack.data[:], RAW)
    np.testing.assert_array_equal(stack.flat[:], flat)
    np.testing.assert_array_equal(stack.dark[:], dark)
    np.testing.assert_allclose(stack.energy, ENERGY * 1000)
    assert stack.signal == "counts" and stack.warnings == ()
    assert stack.source["images"] == "/img_xanes" and stack.source["flat"] == "/img_bkg"


@pytest.mark.parametrize(
    "items",
    [
        {"a": RAW, "b": ENERGY},
        {"entry__instrument__frames": RAW, "entry__scan__values": ENERGY[:, None]},
        {"entry__data__data": RAW, "entry__data__energy": ENERGY, "entry__data__dwell": np.ones(N)},
        {"deep__er__still__pictures": RAW, "deep__er__still__photon_energy": ENERGY * 1000},
        {"img": RAW, "energy": ENERGY, "other": RAW[:2], "name": "text"},
        {"img": RAW, "energy": ENERGY, "copy__energy": ENERGY},
    ],
    ids=["shapes-alone", "nested-column", "other-lists", "deep", "other-stacks", "twice-the-same"],
)
def test_datasets_found_by_themselves(tmp_path, items):
    stack = read_stack(write(tmp_path, **items))
    np.testing.assert_array_equal(stack.data[:], RAW)
    np.testing.assert_allclose(stack.energy, ENERGY * 1000)


def test_links_are_followed_and_loops_and_dead_links_do_no_harm(tmp_path):
    inner = write(tmp_path, "inner.h5", raw=RAW)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["entry/energy"] = ENERGY
        file["entry/data"] = h5py.ExternalLink(inner.name, "/raw")
        file["entry/again"] = h5py.SoftLink("/entry/data")
        file["entry/dead"] = h5py.ExternalLink("nothing.h5", "/raw")
        file["entry/loop"] = h5py.SoftLink("/entry")
    np.testing.assert_array_equal(read_stack(tmp_path / "master.h5").data[:], RAW)


def test_named_datasets(tmp_path):
    path = write(tmp_path, a=RAW, b=RAW + 1, e__x=ENERGY, e__y=ENERGY + 1, bright=RAW[0])
    stack = read_stack(path, images="b", energy="/e/y", flat="bright")
    np.testing.assert_array_equal(stack.data[:], RAW + 1)
    np.testing.assert_allclose(stack.energy, (ENERGY + 1) * 1000)
    assert stack.flat.shape == (6, 5)


@pytest.mark.parametrize(
    "compression", [hdf5plugin.Bitshuffle(), hdf5plugin.Blosc(), {"compression": "gzip"}, {}]
)
def test_compressed_and_chunked(tmp_path, compression):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        chunks = (1, 6, 5) if compression else None
        file.create_dataset("img", data=RAW, chunks=chunks, **compression)
        file["energy"] = ENERGY
    stack = read_stack(tmp_path / "scan.h5")
    np.testing.assert_array_equal(stack.data[2, 1:4], RAW[2, 1:4])
    np.testing.assert_array_equal(stack.data[:, 1, 2], RAW[:, 1, 2])
    np.testing.assert_array_equal(stack.data[[3, 1]], RAW[[3, 1]])
    assert stack.cheap_rows is (not compression)


def test_other_byte_order_comes_native(tmp_path):
    stack = read_stack(write(tmp_path, img=RAW.astype(">u2"), energy=ENERGY))
    assert stack.data[0].dtype.isnative and stack.data.dtype == np.uint16
    np.testing.assert_array_equal(stack.data[1], RAW[1])


@pytest.mark.parametrize(
    ("value", "attrs", "size"),
    [("20.0nm", {}, 0.02), (0.5, {"units": "um"}, 0.5), (20.0, {}, None), ("broken", {}, None)],
)
def test_pixel_size(tmp_path, value, attrs, size):
    path = write(tmp_path, img=RAW, energy=ENERGY, pixel_size=value)
    with h5py.File(path, "a") as file:
        file["pixel_size"].attrs.update(attrs)
    assert read_stack(path).pixel_size_um == size
    assert read_stack(path, pixel_size_um=3.0).pixel_size_um == 3.0


@pytest.mark.parametrize(
    ("items", "keywords", "said"),
    [
        (
            {"a": RAW, "b": RAW, "e": ENERGY},
            {},
            r"holds several stacks: /a \(4, 6, 5\), /b \(4, 6, 5\); name one",
        ),
        ({"a": RAW, "energy": ENERGY[:3]}, {}, "/energy holds 3 energies but /a holds 4 images"),
        (
            {"a": RAW, "x__energy": ENERGY, "y__energy": ENERGY + 1},
            {},
            "could be /x/energy, /y/energy; name one",
        ),
        ({"a": RAW}, {}, "no energies were found for scan"),
        ({"a": RAW, "e": ENERGY}, {"images": "c"}, r"has no dataset c; it holds /a \(4, 6, 5\), /e \(4,\)"),
        ({"a": RAW, "e": ENERGY}, {"energy": "c"}, "energy is 'c', which is neither a file nor a dataset"),
        ({"a": RAW, "e": ENERGY}, {"flat": "c"}, "flat is 'c', which is neither a file nor a dataset"),
        ({"a": RAW, "e": ENERGY}, {"images": "e"}, r"/e has shape \(4,\), expected \(energy, y, x\)"),
        (
            {"a": RAW, "e": ENERGY, "f": RAW[:, :5]},
            {"flat": "f"},
            r"flat /f has shape \(4, 5, 5\) .* have \(6, 5\)",
        ),
        (
            {"img": RAW, "e": ENERGY, "img_bkg": RAW[:, 1:]},
            {},
            r"/img_bkg has shape \(4, 5, 5\) .* have \(6, 5\)",
        ),
        (
            {"a": RAW, "e": ENERGY, "d": RAW[0, 1:]},
            {"dark": "d"},
            r"dark /d has shape \(5, 5\) .* have \(6, 5\)",
        ),
        ({"a": RAW.astype(complex), "e": ENERGY}, {}, r"images of scan are complex.*complex_as='phase'"),
        ({"a": ENERGY}, {}, r"holds no stack \(energy, y, x\); it holds /a \(4,\)"),
        ({"a": "text"}, {}, "it holds no numeric dataset"),
        ({"a": np.zeros((2, 6, 5, 3), np.uint8), "e": ENERGY[:2]}, {}, "holds colour images"),
        ({"a": RAW[:0], "e": ENERGY[:0]}, {"images": "a"}, r"/a has shape \(0, 6, 5\), it holds no images"),
    ],
)
def test_what_is_wrong_or_uncertain_is_said(tmp_path, items, keywords, said):
    with pytest.raises((DataFileError, ValueError), match=said):
        read_stack(write(tmp_path, **items), **keywords)


def test_objects_are_refused(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("img", (2, 3, 4), dtype=h5py.string_dtype())
        file["energy"] = ENERGY[:2]
    with pytest.raises(DataFileError, match=r"scan\.h5: /img holds values of type object"):
        read_stack(tmp_path / "scan.h5")


def test_terabytes_that_were_never_written_are_refused(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("img", (100, 200_000, 200_000), np.uint16, chunks=(1, 200, 200))
        file["energy"] = np.linspace(8200, 8300, 100)
    with pytest.raises(DataFileError, match=r"scan\.h5: /img declares 7\.45e\+03 GiB .* but 0 bytes"):
        read_stack(tmp_path / "scan.h5")


def test_text_garbage_empty_and_cut_off_files_are_refused(tmp_path):
    path = tmp_path / "scan.h5"
    path.write_text("energy 1 2 3\n")
    with pytest.raises(
        DataFileError, match=r"scan\.h5 holds text, expected images; scans are read from .*TIFF.*HDF5/NeXus"
    ):
        read_stack(path)
    path.write_bytes(b"")
    with pytest.raises(DataFileError, match=r"scan\.h5 is empty \(0 bytes\)"):
        read_stack(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 500)
    with pytest.raises(DataFileError, match=r"scan\.h5 cannot be read as HDF5"):
        read_stack(path)
    write(tmp_path, img=RAW, energy=ENERGY)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataFileError, match=rf"scan\.h5 is cut off: it has {path.stat().st_size} bytes"):
        read_stack(path)


def test_a_damaged_frame_is_named_when_read(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        noisy = np.random.default_rng(5).integers(0, 60000, (9, 40, 41)).astype(np.uint16)
        file.create_dataset("img", data=noisy, chunks=(1, 40, 41), compression="gzip")
        file["energy"] = np.linspace(8200, 8300, 9)
        chunk = file["img"].id.get_chunk_info(5)
    with open(tmp_path / "scan.h5", "r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * 200)
    stack = read_stack(tmp_path / "scan.h5")
    np.testing.assert_array_equal(stack.data[3], noisy[3])
    with pytest.raises(DataFileError, match=r"scan\.h5: frame 6 of 9 of /img cannot be read"):
        stack.read(5)


def test_the_file_is_not_changed(tmp_path):
    path = write(tmp_path, img=RAW, energy=ENERGY)
    before = path.read_bytes()
    read_stack(path).data[:]
    assert path.read_bytes() == before


def series(tmp_path, energies, shape=(3, 4, 5)):
    frames = np.random.default_rng(1).normal(0.05, 0.01, (len(energies), *shape)).astype(np.float32)
    for i, (energy, frame) in enumerate(zip(energies, frames, strict=True)):
        write(tmp_path, f"scan_{i}.h5", img=frame, X_eng=energy, scan_id=i)
    return frames


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5)], ids=["volumes", "images"])
def test_one_file_per_energy_in_any_order(tmp_path, shape):
    energies = [8.4, 8.3, *np.linspace(8.5, 8.6, 9)]
    frames = series(tmp_path, energies, shape)
    write(tmp_path, "truth.h5", amount=np.zeros((2, *shape)))
    stack = read_stack(tmp_path)
    order = np.argsort(energies)
    np.testing.assert_array_equal(stack.data[:], frames[order])
    np.testing.assert_array_equal(stack.data[1, 1:3], frames[order][1, 1:3])
    np.testing.assert_allclose(stack.energy, np.sort(energies) * 1000)
    assert stack.signal == "optical_density" or shape == (4, 5)
    assert "images were sorted by energy" in " ".join(stack.warnings)
    assert any("truth.h5" in one for one in stack.warnings)
    listed = read_stack([tmp_path / f"scan_{i}.h5" for i in (2, 1, 0)], images="img", energy="X_eng")
    np.testing.assert_array_equal(listed.data[:], frames[[1, 0, 2]])


def test_series_faults_are_named(tmp_path):
    series(tmp_path, [8.3, 8.4, 8.5])
    write(tmp_path, "scan_1.h5", img=np.zeros((3, 4, 6), np.float32), X_eng=8.4)
    with pytest.raises(
        DataFileError, match=r"scan_1\.h5 has shape \(3, 4, 6\) but scan_0\.h5 has \(3, 4, 5\)"
    ):
        read_stack(tmp_path)
    write(tmp_path, "scan_1.h5", img=np.zeros((3, 4, 5), np.float32))
    with pytest.raises(DataFileError, match=r"scan_1\.h5 has no energy /X_eng"):
        read_stack(tmp_path)
    write(tmp_path, "scan_1.h5", other=np.zeros((3, 4, 5), np.float32))
    with pytest.raises(DataFileError, match=r"scan_1\.h5 has no dataset /img"):
        read_stack(tmp_path)


def test_a_run_keeps_the_file_open_and_gives_it_back(tmp_path):
    """Opening takes longer than reading a few rows; without a lock, another program may open it for writing meanwhile."""
    path = write(tmp_path, img_xanes=RAW, X_eng=ENERGY)
    stack = read_stack(path, signal="counts")
    with files_kept_open(), files_kept_open():
        np.testing.assert_array_equal(stack.data[1], RAW[1])
        code = f"import h5py; h5py.File({str(path)!r}, 'r+').close()"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with h5py.File(path, "r+") as file:  # nothing holds it in this process
        file["img_xanes"][1] = 7
    assert (stack.data[1] == 7).all()


def test_a_run_that_ends_takes_no_file_from_who_is_reading_it(tmp_path, monkeypatch):
    """A window reads what it shows while a run in the background ends."""
    path = tmp_path / "scan.h5"
    images = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    with h5py.File(path, "w") as file:
        file["img_xanes"], file["X_eng"] = images, np.linspace(8.3, 8.4, 5)
    stack = read_stack(path)
    run = files_kept_open()
    run.__enter__()
    np.testing.assert_array_equal(stack.data[0], images[0])
    real = h5py.Dataset.__getitem__

    def ends_meanwhile(dataset, key):
        monkeypatch.undo()
        run.__exit__(None, None, None)
        return real(dataset, key)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", ends_meanwhile)
    np.testing.assert_array_equal(stack.data[3], images[3])
    with h5py.File(path, "a") as file:  # which is free again
        file["note"] = "written"
