"""Links, virtual datasets, declared axes, keys and packing of HDF5 files: obeyed, or said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_xanes import DataFileError, InputError, read_stack
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry

N, ROWS, COLUMNS = 5, 8, 9
ENERGY = np.linspace(8300, 8400, N)
RNG = np.random.default_rng(7)
RAW = RNG.integers(300, 900, (N, ROWS, COLUMNS)).astype(np.uint16)
FLAT = RNG.integers(900, 1100, (3, ROWS, COLUMNS)).astype(np.uint16)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, items):
    with h5py.File(name, "w") as file:
        for key, value in items.items():
            file[key] = value
    return name


# -- links and virtual datasets -----------------------------------------------------------------------


def test_links_to_the_same_place_in_two_files_are_two_datasets(here):
    write("raw.h5", {"entry/data/data": RAW})
    write("bright.h5", {"entry/data/data": FLAT})
    with h5py.File("master.h5", "w") as file:
        file["counts"] = h5py.ExternalLink("raw.h5", "/entry/data/data")
        file["flat"] = h5py.ExternalLink("bright.h5", "/entry/data/data")
        file["energy"] = ENERGY
    stack = read_stack("master.h5")
    np.testing.assert_array_equal(stack.data[:], RAW)
    np.testing.assert_array_equal(stack.flat[:], FLAT)
    assert stack.source["images"] == "/counts" and stack.source["flat"] == "/flat"
    again = read_stack("master.h5", images=stack.source["images"], flat=stack.source["flat"])
    np.testing.assert_array_equal(again.data[:], RAW)


@pytest.mark.parametrize("keywords", [{}, {"images": "/img"}, {"images": "img"}])
def test_a_lost_linked_file_is_named(here, keywords):
    write("master.h5", {"img": h5py.ExternalLink("raw_000001.h5", "/entry/data"), "energy": ENERGY})
    with pytest.raises(DataFileError, match=r"/img is a link to .*raw_000001\.h5, which is missing; copy"):
        read_stack("master.h5", **keywords)


@pytest.mark.parametrize("target", ["/x", "/y", "/group"])
def test_links_that_lead_in_circles_or_nowhere_do_no_harm(here, target):
    write("a.h5", {"img": RAW, "energy": ENERGY, "x": h5py.SoftLink(target), "y": h5py.SoftLink("/x")})
    with h5py.File("a.h5", "a") as file:
        file["again"] = h5py.ExternalLink("a.h5", "/")
    np.testing.assert_array_equal(read_stack("a.h5").data[:], RAW)


def virtual(name, sources, shape=RAW.shape, inside="d"):
    layout = h5py.VirtualLayout(shape, np.uint16)
    for i, source in enumerate(sources):
        layout[i] = h5py.VirtualSource(source, inside, shape=shape[1:])
    with h5py.File(name, "w", libver="latest") as file:
        file.create_virtual_dataset("img", layout)
        file["energy"] = ENERGY


def test_a_virtual_dataset_is_read_and_its_lost_parts_are_named(here):
    for i in range(N):
        write(f"p{i}.h5", {"d": RAW[i]})
    virtual("whole.h5", [f"p{i}.h5" for i in range(N)])
    np.testing.assert_array_equal(read_stack("whole.h5").data[:], RAW)
    (here / "p3.h5").rename("elsewhere.h5")
    with pytest.raises(DataFileError, match=r"/img is put together from other files, and p3\.h5 is missing"):
        read_stack("whole.h5")
    write("p3.h5", {"other": RAW[3]})
    with pytest.raises(DataFileError, match=r"d in p3\.h5 is missing"):
        read_stack("whole.h5")


@pytest.mark.parametrize("lost", ["end of a source", "rows of a source", "frames", "end of raw bytes"])
def test_parts_that_no_source_holds_are_named_never_zeros(here, lost):
    """A part file that was cut off or is of another scan, a list of parts that lacks one, raw bytes that end too early."""
    cut = {"end of a source": RAW[:3], "rows of a source": RAW[:, :4]}.get(lost, RAW)
    write("part.h5", {"data": cut})
    Path("part.raw").write_bytes(RAW.tobytes()[:-10])
    with h5py.File("scan.h5", "w", libver="latest") as file:
        file["X_eng"] = ENERGY / 1000
        if lost == "end of raw bytes":
            file.create_dataset("img_xanes", RAW.shape, RAW.dtype, external=[("part.raw", 0, RAW.nbytes)])
        else:
            layout = h5py.VirtualLayout(RAW.shape, RAW.dtype)
            n = N - 2 if lost == "frames" else N
            layout[:n] = h5py.VirtualSource("part.h5", "data", RAW.shape)[:n]
            file.create_virtual_dataset("img_xanes", layout, fillvalue=0)
    said = {"frames": f"frame {N - 1}", "end of raw bytes": r"part of part\.raw"}.get(
        lost, "part of data .*is needed"
    )
    with pytest.raises(DataFileError, match=f"/img_xanes is put together.* and .*{said}.* is missing"):
        read_stack("scan.h5")


def test_gaps_between_the_modules_of_a_detector_are_no_lost_parts(here):
    write("part.h5", {"data": RAW[:, :3]})
    with h5py.File("scan.h5", "w", libver="latest") as file:
        file["X_eng"] = ENERGY / 1000
        layout = h5py.VirtualLayout(RAW.shape, RAW.dtype)
        for start in (0, 5):
            layout[:, start : start + 3] = h5py.VirtualSource("part.h5", "data", (N, 3, COLUMNS))
        file.create_virtual_dataset("img_xanes", layout, fillvalue=7)
    stack = read_stack("scan.h5")
    np.testing.assert_array_equal(stack.data[1][5:], RAW[1, :3])
    assert (stack.data[1][3:5] == 7).all()


@pytest.mark.parametrize("itself", ["loop.h5", "."])
def test_a_virtual_dataset_of_itself_is_refused(here, itself):
    virtual("loop.h5", [itself] * N, inside="img")
    code = "import napari_xanes as nx\ntry: nx.read_stack('loop.h5')\nexcept nx.XanesError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and "put together from itself" in done.stdout


def test_of_eight_thousand_datasets_the_tree_is_walked_once(here, monkeypatch):
    with h5py.File("many.h5", "w") as file:
        file["img"], file["energy"] = RAW, ENERGY
        for i in range(8000):
            file[f"log/{i // 100}/value_{i}"] = np.float32(i)
    trees, make = [], Tree.__init__
    monkeypatch.setattr(Tree, "__init__", lambda tree, path: trees.append(path) or make(tree, path))
    np.testing.assert_array_equal(read_stack("many.h5").data[:], RAW)
    assert len(trees) == 1


def test_of_many_stacks_each_is_looked_at_a_few_times(here, monkeypatch):
    """Not once for each of the others."""
    with h5py.File("many.h5", "w") as file:
        for i in range(300):
            file[f"log/{i}"] = RAW
    looks, parent = [], TreeEntry.parent.fget
    monkeypatch.setattr(TreeEntry, "parent", property(lambda entry: looks.append(entry) or parent(entry)))
    with pytest.raises(DataFileError, match="several stacks"):
        read_stack("many.h5", energy=ENERGY)
    assert len(looks) < 20 * 300


# -- which dataset, which scan -------------------------------------------------------------------------


def test_flats_and_energies_are_those_of_the_images_own_scan(here):
    items = {"1.1/measurement/energy": ENERGY}
    for k in ("1.1", "2.1"):
        items[f"{k}/measurement/img"] = RAW + np.uint16(int(k[0]))
        items[f"{k}/instrument/flat"] = FLAT + np.uint16(int(k[0]))
    write("two.h5", items)
    stack = read_stack("two.h5", images="/2.1/measurement/img", energy=ENERGY)
    assert stack.source["flat"] == "/2.1/instrument/flat"
    with pytest.raises(DataFileError, match="no energies were found"):
        read_stack("two.h5", images="/2.1/measurement/img")
    assert (
        read_stack("two.h5", images="/1.1/measurement/img")
        .source["energy_source"]
        .endswith("/1.1/measurement/energy")
    )
    with pytest.raises(DataFileError, match=r"several stacks: /1\.1/measurement/img .*/2\.1/measurement/img"):
        read_stack("two.h5")
    with h5py.File("two.h5", "a") as file:
        del file["2.1/instrument/flat"]
    other = read_stack("two.h5", images="/2.1/measurement/img", energy=ENERGY)
    assert other.flat is None and "belongs to another scan" in other.warnings[0]


def nxdata(file, path, **fields):
    group = file.create_group(path)
    group.attrs["NX_class"] = "NXdata"
    for name, value in fields.items():
        if name in ("signal", "axes"):
            group.attrs[name] = value
        else:
            group[name] = value
    return group


def test_the_declared_default_is_opened_and_the_others_named(here):
    with h5py.File("regions.h5", "w") as file:
        for i in range(3):
            nxdata(
                file,
                f"entry{i}/data",
                signal="d",
                axes=["energy", "y", "x"],
                d=RAW + np.uint16(i),
                energy=ENERGY + i,
            )
            file[f"entry{i}"].attrs["NX_class"] = "NXentry"
    first = read_stack("regions.h5")
    np.testing.assert_array_equal(first.data[:], RAW)
    assert "there are also /entry1/data/d, /entry2/data/d" in first.warnings[0]
    with h5py.File("regions.h5", "a") as file:
        file.attrs["default"] = "entry2"
        file["entry2"].attrs["default"] = "data"
    third = read_stack("regions.h5")
    np.testing.assert_array_equal(third.data[:], RAW + 2)
    np.testing.assert_array_equal(third.energy, ENERGY + 2)


def test_monitors_scalers_and_matrices_are_no_stacks(here):
    with h5py.File("scan.h5", "w") as file:
        nxdata(file, "entry/data", img=RAW, energy=ENERGY)
        monitor = nxdata(file, "entry/control", signal="data", data=RAW)
        monitor.attrs["NX_class"] = "NXmonitor"
        file["entry/matrices"] = np.tile(np.eye(3), (N, 1, 1))
        file["entry/scalers/val"] = RAW[:, :, :2]
        file["entry/maps/fit"] = RNG.random((N, ROWS, COLUMNS))
        file["entry/fits/fit"], file["entry/fits/fit_name"] = RNG.random((N, ROWS, COLUMNS)), [b"Fe"] * N
    assert read_stack("scan.h5").source["images"] == "/entry/data/img"


# -- axes ----------------------------------------------------------------------------------------------

ORDERS = [
    (["energy", "y", "x"], (0, 1, 2)),
    (["y", "x", "energy"], (1, 2, 0)),
    (["x", "y", "energy"], (2, 1, 0)),
    (["y", "energy", "x"], (1, 0, 2)),
    (["sample_y", "sample_x", "en"], (1, 2, 0)),
    ("x:y:energy", (2, 1, 0)),
    (["energy", ".", "."], (0, 1, 2)),
]


@pytest.mark.parametrize(("axes", "order"), ORDERS)
@pytest.mark.parametrize("rows", [ROWS, N], ids=["oblong", "as-many-rows-as-energies"])
@pytest.mark.parametrize("chunked", [True, False])
def test_declared_axes_are_obeyed(here, axes, order, rows, chunked):
    images = RNG.random((N, rows, COLUMNS)).astype(np.float32)
    stored = np.ascontiguousarray(images.transpose(np.argsort(order) if order != (1, 2, 0) else (1, 2, 0)))
    names = axes.split(":") if isinstance(axes, str) else axes
    if isinstance(axes, list) and axes[:2] == ["y", "energy"]:
        stored = images.transpose(1, 0, 2)
    energy_name = next((n for n in names if n.startswith("en")), "energy")
    with h5py.File("scan.h5", "w") as file:
        group = nxdata(file, "entry/data", signal="d", axes=axes, **{energy_name: ENERGY})
        group.create_dataset("d", data=stored, chunks=stored.shape if chunked else None)
    stack = read_stack("scan.h5", signal="optical_density")
    np.testing.assert_array_equal(stack.data[:], images)
    np.testing.assert_array_equal(stack.data[3, 2:5], images[3, 2:5])
    np.testing.assert_array_equal(stack.data[:, 2, 3], images[:, 2, 3])
    assert stack.source["energy_reason"] == "declared as an axis of /entry/data/d"


def test_an_energy_axis_in_another_place_is_told_by_named_energies_and_said(here):
    images = RNG.random((N, ROWS, COLUMNS))
    write("scan.h5", {"img": np.moveaxis(images, 0, 2), "energy": ENERGY})
    stack = read_stack("scan.h5", signal="optical_density")
    np.testing.assert_array_equal(stack.data[:], images)
    assert "axis 2 of /img (8, 9, 5) was taken for energy" in stack.warnings[0]


@pytest.mark.parametrize("axis", [2, -1, "2", "yxe", "y,x,e"])
def test_the_axis_can_be_said(here, axis):
    images = RNG.random((N, ROWS, N))
    write("scan.h5", {"img": np.moveaxis(images, 0, 2), "energy": ENERGY})
    stack = read_stack("scan.h5", signal="optical_density", axis=axis)
    np.testing.assert_array_equal(stack.data[:], images)
    again = read_stack("scan.h5", signal="optical_density", axis=stack.source["axis"])
    np.testing.assert_array_equal(again.data[:], images)


@pytest.mark.parametrize("axis", [3, -4, "exy!", "ee", "yx", "energy"])
def test_an_axis_that_does_not_fit_is_refused(here, axis):
    write("scan.h5", {"img": RAW, "energy": ENERGY})
    with pytest.raises(InputError, match="axis is"):
        read_stack("scan.h5", axis=axis)


def test_channels_and_elements_are_no_energies(here):
    with h5py.File("xrf.h5", "w") as file:
        nxdata(file, "entry/xrf", signal="d", axes=["y", "x", "channel"], d=RNG.random((ROWS, COLUMNS, 64)))
    with pytest.raises(
        DataFileError, match=r"declared as y, x, channel, and it is not clear which of them is energy"
    ):
        read_stack("xrf.h5", energy=np.linspace(8000, 8100, ROWS))


@pytest.mark.parametrize("shape", [(1, N, ROWS, COLUMNS), (1, 1, N, ROWS, COLUMNS)])
def test_leading_axes_of_length_one_are_dropped(here, shape):
    write("scan.h5", {"img": RAW.reshape(shape), "energy": ENERGY})
    np.testing.assert_array_equal(read_stack("scan.h5").data[:], RAW)


def test_what_matlab_wrote_is_turned_round(here):
    with h5py.File("scan.mat", "w", userblock_size=512) as file:
        file["stack"] = RAW.transpose(0, 2, 1)  # (rows, columns, energy) of MATLAB
        file["stack"].attrs["MATLAB_class"] = np.bytes_("uint16")
        file["energy"] = ENERGY[:, None]
    np.testing.assert_array_equal(read_stack("scan.mat").data[:], RAW)
    with h5py.File("scan2.mat", "w", userblock_size=512) as file:
        file["stack"] = RAW.transpose(2, 1, 0)  # (energy, rows, columns) of MATLAB
        file["stack"].attrs["MATLAB_class"] = np.bytes_("uint16")
        file["energy"] = ENERGY[:, None]
    np.testing.assert_array_equal(read_stack("scan2.mat").data[:], RAW)


# -- keys and packing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_key_energies", [True, False])
def test_image_key_splits_sample_flats_and_darks(here, with_key_energies):
    key = [2] * 2 + [1] * 3 + [0] * N + [3]
    energy = np.concatenate([[8300.0] * 5, ENERGY, [8400.0]]) if with_key_energies else ENERGY
    frames = np.concatenate([RAW[:2] * 0 + 90, FLAT, RAW, RAW[:1] * 0])
    write("tomo.nxs", {"e/detector/data": frames, "e/detector/image_key": key, "e/energy/value": energy})
    stack = read_stack("tomo.nxs", **({} if with_key_energies else {"energy": ENERGY}))
    np.testing.assert_array_equal(stack.data[:], RAW)
    np.testing.assert_array_equal(stack.flat[:], FLAT)
    assert stack.dark.shape == (2, ROWS, COLUMNS) and stack.signal == "counts"
    np.testing.assert_array_equal(stack.energy, ENERGY)


def test_flats_of_every_energy_in_the_key_go_with_their_images(here):
    frames = np.stack([frame for pair in zip(FLAT[[0, 1, 2, 0, 1]], RAW, strict=True) for frame in pair])
    write("tomo.nxs", {"e/data": frames, "e/image_key": [1, 0] * N, "e/energy": np.repeat(ENERGY, 2)})
    stack = read_stack("tomo.nxs")
    np.testing.assert_array_equal(stack.data[:], RAW)
    np.testing.assert_array_equal(stack.flat[:], FLAT[[0, 1, 2, 0, 1]])


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"scale_factor": 1e-3}, lambda a: a * 1e-3),
        ({"scale_factor": 1e-3, "add_offset": -0.25}, lambda a: a * 1e-3 - 0.25),
        (
            {"scale_factor": 1e-3, "_FillValue": np.uint16(65535)},
            lambda a: np.where(a == 65535, np.nan, a * 1e-3),
        ),
        ({"missing_value": np.uint16(65535)}, lambda a: np.where(a == 65535, np.nan, a)),
        ({"valid_max": np.uint16(850)}, lambda a: np.where(a > 850, np.nan, a)),
        ({"valid_min": np.uint16(350)}, lambda a: np.where(a < 350, np.nan, a)),
        (
            {"valid_range": np.array([350, 850], np.uint16)},
            lambda a: np.where((a < 350) | (a > 850), np.nan, a),
        ),
        ({"_FillValue": "none", "scale_factor": "1"}, lambda a: a),
    ],
)
def test_packed_values_are_unpacked_as_declared(here, attrs, expected):
    stored = RAW.copy()
    stored[:, 2, 3] = 65535
    write("scan.h5", {"img": stored, "energy": ENERGY})
    with h5py.File("scan.h5", "a") as file:
        file["img"].attrs.update(attrs)
    stack = read_stack("scan.h5", signal="counts")
    np.testing.assert_allclose(stack.data[:], expected(stored.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(stack.data[1, 2], expected(stored.astype(float))[1, 2], rtol=1e-6)


# -- other programs ------------------------------------------------------------------------------------


def test_other_programs_can_write_to_a_file_that_is_open_here(here):
    write("scan.h5", {"img": RAW, "energy": ENERGY})
    stack = read_stack("scan.h5")
    stack.read(0)
    with h5py.File("scan.h5", "r+") as file:
        file["note"] = "written"
    (here / "scan.h5").rename("moved.h5")
    with pytest.raises(DataFileError, match=r"scan\.h5: there is no such file any more"):
        stack.read(0)


@pytest.mark.parametrize(("definition", "size"), [("NXstxm", 0.05), ("NXtomo", None)])
def test_axes_without_a_unit_are_micrometres_in_stxm_files_and_that_is_said(tmp_path, definition, size):
    with h5py.File(tmp_path / "a.stxm", "w") as file:
        entry = file.create_group("entry0")
        entry.attrs["NX_class"], entry["definition"] = "NXentry", [definition.encode()]
        data = entry.create_group("default")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["energy", "sample_y", "sample_x"])
        data["data"] = np.random.default_rng(0).random((5, 8, 9))
        data["energy"], data["sample_y"], data["sample_x"] = (
            np.linspace(700, 720, 5),
            np.arange(8) * 0.05,
            np.arange(9) * 0.05,
        )
    stack = read_stack(tmp_path / "a.stxm", signal="optical_density")
    assert stack.pixel_size_um == size
    assert [text for text in stack.warnings if "taken for micrometres" in text] == stack_said(size)


def stack_said(size):
    said = (
        "the steps of the axes of the images, taken for micrometres as NXstxm has them, for they have no unit"
    )
    return [] if size is None else [f"the pixel size is {size:g} um by {said}"]


@pytest.mark.parametrize("how", ["labels", "scales", "both"])
def test_dimensions_of_hdf5_are_obeyed(here, how):
    """Labels of the axes, or the datasets that are their scales, as netCDF-4 has them."""
    with h5py.File("scan.h5", "w") as file:
        file["data"] = np.moveaxis(RAW, 0, 2)
        file["energy"] = ENERGY
        if how != "labels":
            file["energy"].make_scale("energy")
            file["data"].dims[2].attach_scale(file["energy"])
        if how != "scales":
            file["data"].dims[2].label = "energy"
    np.testing.assert_array_equal(read_stack("scan.h5", images="data").data[:], RAW)


def test_dimensions_whose_labels_are_damaged_do_not_crash(here):
    """In a process of its own: the library frees what it never had if a label cannot be read."""
    with h5py.File("scan.h5", "w") as file:
        file["data"], file["energy"] = RAW, ENERGY
        file["data"].dims[0].label = "energy"
    raw = bytearray((here / "scan.h5").read_bytes())
    pointer = raw.rindex(raw.index(b"GCOL").to_bytes(8, "little"))
    raw[pointer + 8] = 99  # a text that is not in the heap
    (here / "scan.h5").write_bytes(raw)
    code = (
        "import napari_xanes as nx\ntry: nx.read_stack('scan.h5')\nexcept nx.XanesError: pass\nprint('lives')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "lives", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
def test_a_link_to_a_pipe_is_not_waited_for(here):
    os.mkfifo("pipe")
    with h5py.File("scan.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = RAW, ENERGY
        file["soft"] = h5py.SoftLink("/link/x")
        file["link"] = h5py.ExternalLink("pipe", "/x")
        file["log/over"] = h5py.SoftLink("/soft")  # a link over a link over a link
        file["log/beyond"] = h5py.ExternalLink("other.h5", "/soft")
        file["log/definition"] = h5py.SoftLink("over")
        file["loop"], file["pool"] = h5py.SoftLink("/pool"), h5py.SoftLink("/loop")
    with h5py.File("other.h5", "w") as file:
        file["soft"] = h5py.SoftLink("/link/x")
        file["link"] = h5py.ExternalLink("pipe", "/x")
    code = """if True:
        import napari_xanes as nx
        print(nx.read_stack('scan.h5').shape)
        try: nx.read_references('scan.h5')
        except nx.DataFileError as error: assert 'NXxas' in str(error), error
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == str(RAW.shape), done.stderr


def test_names_that_are_not_utf8_are_left_out_and_the_rest_is_read(here):
    """As programs of before UTF-8 wrote them: groups, datasets, links and attributes in Latin-1."""
    write("scan.h5", {"img_xanes": RAW, "X_eng": ENERGY / 1000})
    with h5py.File("scan.h5", "r+") as file:
        file.create_group(b"gr\xfcn")["inside"] = RAW
        file[b"d\xe4ta"] = RAW
        file.id.links.create_soft(b"link\xf6", b"/X_eng")
        file.id.links.create_soft(b"to_latin", b"/gr\xfcn/inside")
        file.id.links.create_external(b"to_other", b"other.h5", b"/gr\xfcn")
        text = h5py.h5t.py_create(np.dtype("f8"))
        h5py.h5a.create(file["img_xanes"].id, b"\xe9t\xe9", text, h5py.h5s.create(h5py.h5s.SCALAR))
    stack = read_stack("scan.h5")
    np.testing.assert_array_equal(stack.data[2], RAW[2])
    np.testing.assert_allclose(stack.energy, ENERGY)
    with Tree(Path("scan.h5")) as tree:
        assert set(tree.entries["/img_xanes"].attrs) == set()
        assert set(tree.left_out) == {
            r"/gr\xfcn",
            r"/d\xe4ta",
            r"/link\xf6",
            "/to_latin",
            "/to_other",
            r"the attribute \xe9t\xe9 of /img_xanes",
        }
    (said,) = [text for text in stack.warnings if text.startswith("left out")]
    assert r"/d\xe4ta (its name is not UTF-8)" in said and "and 2 more" in said


def test_images_under_a_name_that_is_not_utf8_are_named(here):
    write("scan.h5", {"X_eng": ENERGY / 1000})
    with h5py.File("scan.h5", "r+") as file:
        file[b"bilder_\xfc"] = RAW
    with pytest.raises(DataFileError, match=r"left out: /bilder_\\xfc \(its name is not UTF-8\)"):
        read_stack("scan.h5")


def test_a_dataset_that_is_damaged_is_left_out_and_named(here):
    with h5py.File("scan.h5", "w", libver="latest") as file:
        file["img_xanes"], file["X_eng"] = RAW, ENERGY / 1000
        file["other"] = np.arange(7.0)
        place = h5py.h5o.get_info(file["other"].id).addr
    raw = bytearray(Path("scan.h5").read_bytes())
    raw[place + 20] ^= 1  # its header, whose checksum tells
    Path("scan.h5").write_bytes(raw)
    stack = read_stack("scan.h5")
    assert "left out: /other (it is damaged)" in stack.warnings
