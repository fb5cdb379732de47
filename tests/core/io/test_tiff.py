"""TIFF in its kinds: what is read is what was written, and no more is read than needed."""

from __future__ import annotations

import pickle
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_xanes import DataFileError, ResourceError, read_stack
from napari_xanes._core.io import tiff
from napari_xanes._core.io.mask_file import read_mask
from napari_xanes._core.io.tiff import open_tiff

STACK = np.random.default_rng(7).integers(0, 60000, (5, 24, 17)).astype(np.uint16)


def written(tmp_path, data=STACK, **options):
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    return tmp_path / "a.tif"


KINDS = {
    "plain": {},
    "pages": {"metadata": None},
    "big-endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "imagej": {"imagej": True},
    "ome": {"ome": True},
    "deflate": {"compression": "zlib"},
    "deflate-predictor": {"compression": "zlib", "predictor": 2},
    "deflate-strips": {"compression": "zlib", "rowsperstrip": 2},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "tiles-plain": {"tile": (16, 16)},
    "big-endian-deflate": {"byteorder": ">", "compression": "zlib"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_all_kinds_give_back_what_was_written(tmp_path, kind, dtype):
    if kind == "imagej" and dtype == np.int16:
        pytest.skip("ImageJ has no int16")
    if kind == "deflate-predictor" and dtype == np.float32:
        pytest.skip("TIFF has another predictor for floats, which needs imagecodecs")
    data = (STACK // (256 if dtype == np.uint8 else 2)).astype(dtype)
    array = open_tiff(written(tmp_path, data, photometric="minisblack", **KINDS[kind]))
    assert array.shape == data.shape and array.dtype == dtype and array.dtype.isnative
    np.testing.assert_array_equal(array[:], data)
    np.testing.assert_array_equal(array[3, 7:20], data[3, 7:20])
    np.testing.assert_array_equal(array[[4, 0], 23, ::2], data[[4, 0], 23, ::2])


def test_float64_and_single_image(tmp_path):
    array = open_tiff(written(tmp_path, STACK[0].astype(np.float64)))
    assert array.shape == (1, 24, 17) and array.dtype == np.float64
    np.testing.assert_array_equal(array[0], STACK[0])


def test_volumes_of_an_imagej_hyperstack(tmp_path):
    data = STACK[:4].reshape(2, 2, 1, 24, 17)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "TZCYX"})
    array = open_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(array[:], data[:, :, 0])
    np.testing.assert_array_equal(array[1, 1:2], data[1, 1:2, 0])


@pytest.mark.parametrize(
    ("options", "cheap"),
    [({}, True), ({"compression": "zlib"}, False), ({"compression": "zlib", "rowsperstrip": 2}, True)],
)
def test_cheap_rows_is_said_where_true(tmp_path, options, cheap):
    assert open_tiff(written(tmp_path, **options)).cheap_rows is cheap


def test_only_the_bytes_of_the_rows_are_read(tmp_path, monkeypatch):
    read = []
    fill = tiff._fill  # noqa: SLF001  # where every byte is read
    monkeypatch.setattr(tiff, "_fill", lambda file, buffer: (read.append(len(buffer)), fill(file, buffer)))
    open_tiff(written(tmp_path))[2, 3:7]
    assert read == [4 * 17 * 2]
    strips = open_tiff(written(tmp_path, compression="zlib", rowsperstrip=2))
    read.clear()
    np.testing.assert_array_equal(strips[2, 3:7], STACK[2, 3:7])
    assert len(read) == 3, "rows 3 to 6 lie in the strips 2-3, 4-5 and 6-7"


def test_threads_and_processes_read_the_same(tmp_path):
    array = pickle.loads(pickle.dumps(open_tiff(written(tmp_path, compression="zlib"))))
    with ThreadPoolExecutor(8) as pool:
        for i, frame in zip(
            list(range(5)) * 20, pool.map(lambda i: array[i], list(range(5)) * 20), strict=True
        ):
            np.testing.assert_array_equal(frame, STACK[i])


def test_what_is_read_may_be_written_to(tmp_path):
    array = open_tiff(written(tmp_path, compression="zlib"))
    array[0][:] = 0
    np.testing.assert_array_equal(array[0], STACK[0])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "um"}}, 0.25),
        ({"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "nm"}}, 0.00025),
        ({"ome": True, "metadata": {"PhysicalSizeX": 30.0, "PhysicalSizeXUnit": "nm"}}, 0.03),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
    ids=["imagej-um", "imagej-nm", "ome", "dots-per-inch", "none"],
)
def test_pixel_size(tmp_path, options, size):
    found = open_tiff(written(tmp_path, photometric="minisblack", **options)).pixel_size_um
    assert found == (None if size is None else pytest.approx(size))


def test_colour_and_mixed_shapes_are_refused(tmp_path):
    with pytest.raises(DataFileError, match=r"a\.tif holds colour images \(3 values a pixel\)"):
        open_tiff(written(tmp_path, np.zeros((4, 8, 9, 3), np.uint8), photometric="rgb"))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((8, 9), np.uint16))
        file.write(np.zeros((8, 10), np.uint16))
    with pytest.raises(
        DataFileError, match=r"a\.tif holds images of different shapes.*\(8, 9\) and \(8, 10\)"
    ):
        open_tiff(tmp_path / "a.tif")
    with pytest.raises(DataFileError, match=r"a\.tif has shape \(2, 3, 4, 8, 9\)"):
        open_tiff(written(tmp_path, np.zeros((2, 3, 4, 8, 9), np.uint16), photometric="minisblack"))


@pytest.mark.parametrize("kind", ["plain", "pages", "deflate", "imagej", "strips"])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_file_cut_off_is_refused(tmp_path, kind, kept):
    path = written(tmp_path, **KINDS[kind])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DataFileError, match=r"a\.tif"):
        open_tiff(path)


def test_cut_off_images_are_said_with_both_numbers(tmp_path):
    path = written(tmp_path, STACK[:1])
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 100)
    size = path.stat().st_size
    with pytest.raises(
        DataFileError, match=rf"cut off: frame 1 of 1 ends at byte \d+, the file has {size} bytes"
    ):
        open_tiff(path)


def test_a_damaged_page_is_named_when_read(tmp_path):
    path = written(tmp_path, compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[2].dataoffsets[0]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 40)
    array = open_tiff(path)
    np.testing.assert_array_equal(array[1], STACK[1])
    with pytest.raises(DataFileError, match=r"a\.tif: frame 3 of 5 cannot be read"):
        array[2]


def test_a_file_that_shrinks_or_goes_is_named_when_read(tmp_path):
    path = written(tmp_path)
    array = open_tiff(path)
    with tifffile.TiffFile(path) as file:
        end = file.series[0].dataoffset + STACK.nbytes
    with open(path, "r+b") as file:
        file.truncate(end - 20)
    with pytest.raises(DataFileError, match=r"a\.tif: frame 5 of 5 cannot be read .*ends 20 bytes too early"):
        array[4]
    path.unlink()
    with pytest.raises(DataFileError, match=r"a\.tif: there is no such file any more"):
        array[0]


def tiny_header(width: int, height: int, count: int, *, packed: bool) -> bytes:
    """Return a TIFF of one page whose header declares any size."""
    data = zlib.compress(b"0") if packed else b"0"
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, 8 if packed else 1),
        (262, 3, 1),
        (273, 4, 200),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data) if packed else count),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    return head.ljust(200, b"\0") + data


@pytest.mark.parametrize("packed", [True, False])
def test_a_header_that_declares_terabytes_is_refused(tmp_path, packed):
    (tmp_path / "a.tif").write_bytes(tiny_header(2_000_000, 1_000_000, 4_000_000_000, packed=packed))
    with pytest.raises((DataFileError, ResourceError), match=r"a\.tif"):
        open_tiff(tmp_path / "a.tif")


@pytest.mark.parametrize("raw", [b"II*\0", b"II*\0" + b"\xff" * 100, b"II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_garbage_is_refused(tmp_path, raw):
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(DataFileError, match=r"a\.tif"):
        open_tiff(tmp_path / "a.tif")


def test_imagej_stack_with_a_single_page_header(tmp_path):
    """ImageJ writes large stacks as one header and then one image after the other."""
    path = written(tmp_path, imagej=True)
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.offset + 2 + 12 * len(file.pages.first.tags)
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes(4))
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    array = open_tiff(path)
    assert array.shape == STACK.shape
    np.testing.assert_array_equal(array[:], STACK)
    np.testing.assert_array_equal(array[4, 2:5], STACK[4, 2:5])


@pytest.mark.parametrize("kinds", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_a_list_of_pages_that_leads_back_is_damage(tmp_path, kinds):
    """It would be endless."""
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, np.zeros((5, 8, 9), np.uint16), photometric="minisblack", metadata=None, **kinds)
    with tifffile.TiffFile(path) as file:
        tiff, first, last = file.tiff, file.pages[0].offset, file.pages[-1]
        end = last.offset + tiff.tagnosize + len(last.tags) * tiff.tagsize
    raw = bytearray(path.read_bytes())
    raw[end : end + tiff.offsetsize] = struct.pack(tiff.offsetformat, first)
    path.write_bytes(raw)
    for read in (open_tiff, read_mask):
        with pytest.raises(DataFileError, match="leads back to an earlier one"):
            read(path)


@pytest.mark.parametrize(
    "how",
    [
        {"metadata": {"axes": "ZYX", "energies": [8300.0, 8333.5, 8340.25, 8400.0]}},
        {"description": "Ni foil\nEnergies (eV): 8300, 8333.5, 8340.25, 8400"},
        {"description": "energy_kev = [8.3; 8.3335; 8.34025; 8.4]"},
        {"description": "energies_MeV: 0.0083, 0.0083335, 0.00834025, 0.0084"},
        {"description": "energies [meV]: 8300000, 8333500, 8340250, 8400000"},
    ],
)
def test_energies_listed_in_the_description(tmp_path, how):
    images = np.random.default_rng(1).random((4, 5, 6)).astype("f4")
    tifffile.imwrite(tmp_path / "s.tif", images, photometric="minisblack", **how)
    stack = read_stack(tmp_path / "s.tif")
    np.testing.assert_allclose(stack.energy, [8300, 8333.5, 8340.25, 8400])
    assert "its description" in stack.source["energy_source"]


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "energ" * 200_000, "energies" + " " * 10**6, "energy: " * 125_000]
)
def test_a_long_description_without_energies_holds_nothing_up(tmp_path, text):
    """In a time that grows with its square, it would take hours."""
    tifffile.imwrite(
        tmp_path / "s.tif", STACK, photometric="minisblack", metadata=None, description=text, software=False
    )
    assert all("its description," not in where for where, _ in open_tiff(tmp_path / "s.tif").labels)
