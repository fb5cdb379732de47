"""HDF5 files that the library does not come back from are told before it reads them; sound ones are not held up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from hashlib import blake2b

import h5py
import numpy as np
import pytest
import zarr

import napari_xanes as nx
from napari_xanes._core.base import hdf5_heaps
from napari_xanes._core.base.hdf5_file import SIGN, SUM_BYTES
from napari_xanes._core.base.hdf5_heaps import check_heaps
from napari_xanes._core.base.hdf5_look import HEADER, HEAP, OBJECT

READER = """if True:
    import json, os, re, signal, sys, napari_xanes as nx
    from pathlib import Path
    from napari_xanes._core.runs.result_file import check_result
    def most(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    def answer(paths):
        signal.alarm(100)
        before, said = most(), []
        for path in paths:
            for read in (nx.read_stack, nx.read_references, nx.load_result, check_result):
                try: said.append(str(read(path)))
                except nx.XanesError as error: said.append(str(error))
        print(json.dumps([said, most() - before]), flush=True)
        os._exit(0)
    for line in sys.stdin:
        if not os.fork(): answer(json.loads(line))
        if os.wait()[1]: print(json.dumps([["died"], float("inf")]), flush=True)
"""
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="memory is counted by /proc")


@pytest.fixture(autouse=True)
def nothing_looked_at(monkeypatch):
    """As in a process that has just begun."""
    monkeypatch.setattr(hdf5_heaps, "_looked_at", 0)


@pytest.fixture
def scan(tmp_path):
    """A scan whose texts lie in a global heap."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img_xanes"] = np.random.default_rng(0).random((5, 8, 9)).astype("f4")
        file["X_eng"] = np.linspace(8.3, 8.4, 5)
        file["img_xanes"].attrs["axes"] = ["energy", "y", "x"]
        file["title"] = "a text"
    return tmp_path / "scan.h5"


@pytest.fixture
def tried(monkeypatch):
    """Names of the files that another process read."""
    names = []
    monkeypatch.setattr(hdf5_heaps, "_tried", lambda path: names.append(path) or "")
    return names


@pytest.fixture(scope="module")
def read_with_memory():
    """Return what readers say of files in a process of its own, and how many MB they take.

    Each time a fork of a process that has loaded all is asked; one that hangs is ended.
    """
    asked = subprocess.Popen([sys.executable, "-c", READER], stdin=-1, stdout=-1, text=True)

    def ask(*paths):
        print(json.dumps([str(path) for path in paths]), file=asked.stdin, flush=True)
        return json.loads(asked.stdout.readline())

    with asked:
        yield ask


def endless(raw):
    """Damage the heap such that its first object takes no bytes, so that whoever goes through it stays there."""
    at = raw.index(HEAP) + HEADER
    return raw[:at] + bytes(16) + raw[at + 16 :]


@needs_proc
def test_a_heap_in_which_the_library_hangs_is_refused(scan, read_with_memory):
    scan.write_bytes(endless(scan.read_bytes()))
    said, _ = read_with_memory(scan)
    assert len(said) == 4 and all("damaged" in one and "\n" not in one for one in said), said


def test_what_cannot_be_listed_does_not_hide_what_hangs(tmp_path):
    """Who knows the name of a text gets at it, although a list of its group ends in a fault, or an earlier group has one."""
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        for name in "ab":
            file[f"{name}/definition"] = "a text"
    whole = path.read_bytes()
    names = whole.rindex(b"HEAP")  # those of the last group
    unlisted = whole[: names + 16] + (2**40).to_bytes(8, "little") + whole[names + 24 :]
    path.write_bytes(unlisted)
    check_heaps(path)  # its texts are sound, so whoever reads it is told
    path.write_bytes(endless(unlisted))
    with pytest.raises(nx.DataFileError, match=r"damaged: the HDF5 library (hangs|cannot list)"):
        check_heaps(path)
    with h5py.File(path, "r") as file, pytest.raises(RuntimeError):
        list(file["b"])


def test_a_linked_file_in_which_the_library_hangs_is_refused(scan, tmp_path):
    scan.write_bytes(endless(scan.read_bytes()))
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["entry"] = h5py.ExternalLink("scan.h5", "/")
    with pytest.raises(nx.DataFileError, match=r"scan\.h5 is damaged: the HDF5 library hangs"):
        nx.read_stack(tmp_path / "master.h5")


def test_sound_files_are_not_read_twice(scan, tmp_path, tried):
    nx.simulate((16, 20), n_energies=12, n_particles=2, max_drift=0).save(tmp_path)
    for path in (scan, *tmp_path.glob("*.h5")):
        check_heaps(path)
    assert not tried
    with h5py.File(scan, "r+") as file:
        file["title"].attrs["more"] = ["t" * n for n in range(300)]
    check_heaps(scan)
    assert not tried and scan.read_bytes().count(HEAP) > 1


@pytest.mark.parametrize(
    "damage", [b"\0" * 8, b"\xff" * 8, b"\xf0" + b"\xff" * 7, (2**40).to_bytes(8, "little")]
)
@pytest.mark.parametrize("place", [4, 8, 24])
def test_what_a_look_cannot_tell_is_tried(scan, tried, damage, place):
    """The version and length of the heap, and the length of its first object."""
    raw = bytearray(scan.read_bytes())
    at = raw.index(HEAP) + place
    raw[at : at + 8] = damage
    scan.write_bytes(raw)
    check_heaps(scan)
    assert tried == [str(scan)]


def test_large_files_are_tried_in_another_process(scan, monkeypatch):
    monkeypatch.setattr(hdf5_heaps, "MOST_LOOKED_AT", 0)
    assert nx.read_stack(scan).shape == (5, 8, 9)
    scan.write_bytes(endless(scan.read_bytes()))
    with pytest.raises(nx.DataFileError, match="hangs"):
        check_heaps(scan)


def test_of_many_files_the_first_are_looked_through_and_the_others_tried(scan, tmp_path, monkeypatch, tried):
    monkeypatch.setattr(hdf5_heaps, "MOST_LOOKED_AT", 2 * scan.stat().st_size)
    paths = [tmp_path / f"{n}.h5" for n in range(4)]
    for path in paths:
        path.write_bytes(scan.read_bytes())
        check_heaps(path)
        check_heaps(path)
    assert tried == [str(path) for path in paths[2:]]


def test_virtual_datasets_are_tried_as_their_parts_can_crash_the_library(tmp_path):
    """The rank of a selection is damaged: the library writes past what it holds."""
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["raw"] = np.zeros((5, 8, 9), "f4")
        layout = h5py.VirtualLayout((5, 8, 9), "f4")
        layout[:3] = h5py.VirtualSource(".", "raw", (5, 8, 9))[:3]
        file.create_virtual_dataset("img_xanes", layout)
    check_heaps(tmp_path / "v.h5")
    raw = (tmp_path / "v.h5").read_bytes()
    start = raw.index(HEAP)
    found = {}
    for at in range(start + HEADER + 16, start + HEADER + 16 + 120):
        if raw[at : at + 4] == (3).to_bytes(4, "little"):
            (tmp_path / f"v{at}.h5").write_bytes(raw[:at] + b"\x03\x03\x03\x03" + raw[at + 4 :])
            try:
                check_heaps(tmp_path / f"v{at}.h5")
            except nx.DataFileError as error:
                found[at] = str(error)
    assert found and all("the HDF5 library crashes" in said for said in found.values())


@pytest.mark.parametrize("place", [-4, 0])
def test_a_text_that_claims_to_be_endless_is_refused(scan, place):
    """The library would take as much memory as it claims, before it looks whether that is there."""
    raw = bytearray(scan.read_bytes())
    at = raw.rindex(raw.index(HEAP).to_bytes(8, "little"))
    raw[at - 4 : at + 4 + place] = b"\xff" * (8 + place)
    scan.write_bytes(raw)
    with pytest.raises(nx.DataFileError, match="damaged: /title claims more than 512 MB"):
        check_heaps(scan)


def test_a_file_that_ends_within_a_type_is_tried(scan, tried):
    raw = scan.read_bytes()
    at = raw.index(b"\x10\0\0\0", raw.index(b"\x19"))
    for end in range(at + 4, at + 13):
        scan.write_bytes(raw[:end])
        check_heaps(scan)
        assert tried.pop() == str(scan)


def test_a_type_that_is_damaged_is_not_trusted(tmp_path, tried):
    """Of texts that are neither lists nor texts, or lists of what is larger than what was stored, the library dies."""
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["X_eng"] = np.linspace(8.3, 8.4, 5)
        file["X_eng"].attrs["units"] = "keV"
    raw = path.read_bytes()
    at = raw.index(b"\x19\x01\x01\x00\x10\x00\x00\x00\x10")
    for place, value in ((at + 1, 0xBF), (at + 1, 0xB2), (at + 13, 0xFF)):
        path.write_bytes(raw[:place] + bytes([value]) + raw[place + 1 :])
        check_heaps(path)
        assert tried.pop() == str(path)


@needs_proc
@pytest.mark.parametrize("size", [2_000_000, 200_000])
def test_texts_that_were_never_written_are_not_all_filled_in(tmp_path, size, read_with_memory):
    """The library hands out the fill value, which lies in the file once, for each of them."""
    path, count = tmp_path / "scan.h5", 600_000_000 // size
    with h5py.File(path, "w") as file:
        file["img_xanes"] = np.random.default_rng(0).random((count, 4, 5)).astype("f4")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        text = h5py.string_dtype()
        plist.set_fill_value(np.array(b"8" * size, dtype=text))
        kind, space = h5py.h5t.py_create(text, logical=True), h5py.h5s.create_simple((count,))
        h5py.h5d.create(file.id, b"X_eng", kind, space, plist)
    said, taken = read_with_memory(path)
    assert said and taken < 200


@needs_proc
def test_long_texts_of_one_length_that_were_never_written_are_not_read(tmp_path, read_with_memory):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img_xanes"] = np.random.default_rng(0).random((300, 4, 5)).astype("f4")
        file.create_dataset("X_eng", (300,), "S2000000", chunks=(1,))
    said, taken = read_with_memory(tmp_path / "scan.h5")
    assert said and taken < 200


@needs_proc
def test_a_pointer_to_elsewhere_is_not_followed(tmp_path, read_with_memory):
    """The one that is meant is sound; what stands where the dataset says that it is claims a text of 1 GB."""
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/definition"] = "NXxas"
        for name in ("energy", "intensity"):
            file[f"entry/{name}"] = np.linspace(8300, 8400, 5)
        file["entry/other"] = np.frombuffer((2**30).to_bytes(4, "little") + bytes([1] * 12), "u1")
        meant, other = (file[f"entry/{name}"].id.get_offset() for name in ("definition", "other"))
    n_bytes = (16).to_bytes(8, "little")
    raw = path.read_bytes()
    assert raw.count(meant.to_bytes(8, "little") + n_bytes) == 1
    path.write_bytes(
        raw.replace(meant.to_bytes(8, "little") + n_bytes, other.to_bytes(8, "little") + n_bytes)
    )
    said, taken = read_with_memory(path)
    assert any("claim 1073741824 bytes" in one for one in said) and taken < 200, said


CLAIM = (2**30).to_bytes(4, "little") + (4096).to_bytes(8, "little") + (1).to_bytes(4, "little")
"""A pointer to a text of 1 GB where there is no heap."""
TEXT = h5py.string_dtype()
MARKED = "a text of 19 bytes "


def point_elsewhere(path):
    """Let what leads to the marked texts claim 1 GB elsewhere."""
    raw = path.read_bytes()
    pointers = [len(MARKED).to_bytes(4, "little") + at.to_bytes(8, "little") for at in heaps(raw)]
    places = [at for at in range(len(raw) - 16) if raw[at : at + 12] in pointers]
    assert places
    for at in places:
        raw = raw[:at] + CLAIM + raw[at + 16 :]
    path.write_bytes(raw)


def heaps(raw):
    """Return where the heaps of a file begin."""
    return [at for at in range(len(raw)) if raw.startswith(HEAP, at)]


def add_committed(file):
    file["kind"] = np.dtype(TEXT)
    file["img_xanes"].attrs.create("units", MARKED, dtype=file["kind"])


def add_compound(file):
    value = np.zeros((), [("text", TEXT), ("number", "f4")])
    value["text"] = MARKED
    file["img_xanes"].attrs["units"] = value


ADD_TEXTS = {
    "attribute": lambda file: file["img_xanes"].attrs.create("units", MARKED),
    "attributes": lambda file: file.attrs.create("default", [MARKED] * 3, dtype=TEXT),
    "committed": add_committed,
    "compound": add_compound,
    "dataset": lambda file: file.create_dataset("X_eng", data=[MARKED] * 5, dtype=TEXT),
    "chunks": lambda file: file.create_dataset("X_eng", data=[MARKED] * 5, dtype=TEXT, chunks=(5,)),
}


@needs_proc
def test_pointers_to_elsewhere_are_told_wherever_they_are(tmp_path, read_with_memory):
    """In attributes and in chunks, packed or not; in some beside a sound text, in some alone."""
    paths = [tmp_path / f"{name}{other}.h5" for name in ADD_TEXTS for other in ("", "_and_other")]
    for path in paths:
        with h5py.File(path, "w") as file:
            file["img_xanes"] = np.random.default_rng(0).random((5, 8, 9)).astype("f4")
            if "other" in path.stem:
                file["title"] = "other"
            ADD_TEXTS[path.stem.removesuffix("_and_other")](file)
        point_elsewhere(path)
    packed = tmp_path / "packed.h5"
    with h5py.File(packed, "w") as file:
        file["img_xanes"] = np.random.default_rng(0).random((5, 8, 9)).astype("f4")
        data = file.create_dataset("X_eng", (5,), TEXT, chunks=(5,), compression="gzip")
        data.id.write_direct_chunk((0,), zlib.compress(CLAIM * 5))
    said, taken = read_with_memory(*paths, packed)
    told = {
        path.name for path in [*paths, packed] if any(path.name in one and "claim" in one for one in said)
    }
    assert told == {path.name for path in [*paths, packed]} and taken < 200


def test_attributes_are_found_by_a_look_in_any_version_of_the_format(tmp_path, tried):
    for version in ("earliest", "v108", "v110", "latest"):
        path = tmp_path / f"{version}.h5"
        with h5py.File(path, "w", libver=version) as file:
            file["numbers"] = np.arange(700.0)
            file.attrs["axes"] = [MARKED] * 3
            file["numbers"].attrs["units"] = MARKED
        check_heaps(path)
        assert not tried
        point_elsewhere(path)
        check_heaps(path)
        assert tried == [str(path)]
        tried.clear()


def sign_again(path, raw):
    """Write a result that was changed with the checksum that it had if it were sound."""
    raw = raw[: -len(SIGN) - SUM_BYTES]
    path.write_bytes(raw + SIGN + blake2b(raw, digest_size=SUM_BYTES).digest())


@needs_proc
def test_results_that_claim_too_much_are_refused_although_they_are_signed(tmp_path, read_with_memory):
    stack = nx.simulate((16, 20), n_energies=12, n_particles=2, max_drift=0).stack
    result = nx.make_result(stack, {"thickness": np.ones((16, 20))})
    nx.save_result(result, tmp_path / "maps.h5")
    whole = (tmp_path / "maps.h5").read_bytes()
    starts = {at.to_bytes(8, "little") for at in heaps(whole)}
    pointers = [at - 4 for at in range(4, len(whole) - 12) if whole[at : at + 8] in starts]
    paths = [tmp_path / f"{at}.h5" for at in pointers[::5]]
    for path, at in zip(paths, pointers[::5], strict=True):
        sign_again(path, whole[:at] + CLAIM + whole[at + 16 :])
    store = tmp_path / "maps.zarr"
    nx.save_result(result, store)
    array = zarr.open_group(store, mode="r+")["about"]
    raw = array[:].tobytes()
    at = raw.rindex(raw.index(HEAP).to_bytes(8, "little")) - 4
    array[:] = np.frombuffer(raw[:at] + CLAIM + raw[at + 16 :], "u1")
    said, taken = read_with_memory(*paths, store)
    assert len(paths) > 4 and taken < 200
    for path in (*paths, store):
        told = [one for one in said if str(path) in one and "claim" in one]
        assert len(told) >= 2, (path, said)  # loaded, and looked at by who resumes


def test_a_large_attribute_is_said_to_be_large_not_damaged(tmp_path):
    """Of 400 MB, in a heap that is blown up in a file with holes."""
    path, size = tmp_path / "scan.h5", 400_000_000
    with h5py.File(path, "w") as file:
        file["img_xanes"] = np.random.default_rng(0).random((5, 8, 9)).astype("f4")
        file["img_xanes"].attrs["log"] = MARKED
    raw = bytearray(path.read_bytes())
    (heap,) = heaps(raw)
    pointer = raw.index(len(MARKED).to_bytes(4, "little") + heap.to_bytes(8, "little"))
    raw[pointer : pointer + 4] = size.to_bytes(4, "little")
    raw[heap + 8 : heap + 16] = (size + HEADER + OBJECT).to_bytes(8, "little")
    raw[heap + HEADER + 8 : heap + HEADER + 16] = size.to_bytes(8, "little")
    end = heap + HEADER + OBJECT + size
    raw[40:48] = end.to_bytes(8, "little")  # where the file ends, says its first block
    path.write_bytes(raw[: heap + HEADER + OBJECT])
    os.truncate(path, end)
    with pytest.raises(
        nx.DataFileError, match=r"too large .* the attribute log of /img_xanes takes more than"
    ):
        nx.read_stack(path)
