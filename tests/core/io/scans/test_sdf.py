"""SDF scans of STXMs: the header, stacks, regions, channels, and what is no scan of energies."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_xanes import DataFileError, read_stack
from napari_xanes._core.io.sdf_header import parse_header
from napari_xanes._reader import get_reader


def axis(name, points, unit="um"):
    listed = ", ".join(f"{p:.3f}" for p in points)
    return f'{{ Name = "{name}"; Unit = "{unit}"; Min = 0; Points = ({len(points)}, {listed});\n}}'


def write_scan(
    folder,
    regions=1,
    channels=("counter1",),
    stack=("Energy", [700.0, 701.5, 703.0], "eV"),
    kind="NEXAFS Image Scan",
):
    """Write a scan after the layout of the files of ALS; return the images (region, channel, energy, y, x)."""
    y, x = np.arange(4) * 0.05, np.arange(5) * 0.05
    region = "{ PAxis = " + axis("Sample X", x) + ";\n QAxis = " + axis("Sample Y", y) + ";\n}"
    names = ", ".join(f'{{ Name = "{name}"; Unit = "counts";}}' for name in channels)
    text = (
        f'ScanDefinition = {{ Label = "s.hdr"; Type = "{kind}"; Flags = "Image Stack"; Dwell = 1;\n'
        f"Regions = ({regions},\n{', '.join([region] * regions)});\n StackAxis = {axis(*stack)};\n"
        f'Channels = ({len(channels)},\n{names});\n}};\n Time = "2007"; BeamFeedback = true;\n'
    )
    (folder / "s.hdr").write_text(text)
    images = np.random.default_rng(1).integers(100, 900, (regions, len(channels), len(stack[1]), 4, 5))
    for (r, c, e), _ in np.ndenumerate(images[..., 0, 0]):
        name = f"s_{'ab'[c]}{e:03d}{r if regions > 1 else ''}.xim"
        np.savetxt(folder / name, images[r, c, e], delimiter="\t", fmt="%d")
    return images


def test_real_stack_equals_its_tiff(whole_data):
    folder = whole_data / "formats" / "sdf"
    truth = tifffile.imread(whole_data / "stxm_fe_l" / "stack_transmission.tif")
    energy = np.loadtxt(whole_data / "stxm_fe_l" / "energy_eV.txt")
    for path in (folder / "71214098.hdr", folder):
        assert get_reader(str(path)) is not None
        stack = read_stack(path)
        np.testing.assert_array_equal(stack.energy, energy)
        assert stack.signal == "counts" and stack.pixel_size_um == 0.08 and not stack.warnings
        np.testing.assert_array_equal(stack.data[[0, 60, 122]], truth[[0, 60, 122]])
    (image, _, kind) = get_reader(str(folder / "71214098.hdr"))(str(folder / "71214098.hdr"))[0]
    assert kind == "image" and image.shape == truth.shape


@pytest.mark.parametrize(
    ("chosen", "index", "said"),
    [
        (None, (0, 0), ("region 1 of 2", "channel counter1 of")),
        ("region 2", (1, 0), ("channel counter1 of",)),
        ("region 2, diode", (1, 1), ()),
    ],
)
def test_regions_and_channels_are_chosen_by_name(tmp_path, chosen, index, said):
    images = write_scan(tmp_path, regions=2, channels=("counter1", "diode"))
    stack = read_stack(tmp_path / "s.hdr", images=chosen)
    np.testing.assert_array_equal(stack.data[:], images[index])
    assert [any(text in warning for warning in stack.warnings) for text in said] == [True] * len(said)
    assert len(stack.warnings) == len(said)
    with pytest.raises(DataFileError, match=r"no 'region 3'; it has 2 regions .* counter1, diode"):
        read_stack(tmp_path / "s.hdr", images="region 3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"stack": ("Polarization", [0.0, 45.0, 90.0], "deg")},
            r"a stack over 'Polarization' \(deg\), and no scan of energies",
        ),
        ({"kind": "NEXAFS Line Scan"}, "a scan of type 'NEXAFS Line Scan'"),
    ],
)
def test_what_is_no_scan_of_energies_is_refused(tmp_path, options, said):
    write_scan(tmp_path, **options)
    with pytest.raises(DataFileError, match=said):
        read_stack(tmp_path / "s.hdr")


def test_a_stopped_scan_ends_early_and_holes_are_refused(tmp_path):
    images = write_scan(tmp_path)
    (tmp_path / "s_a002.xim").unlink()
    stack = read_stack(tmp_path / "s.hdr")
    np.testing.assert_array_equal(stack.data[:], images[0, 0, :2])
    np.testing.assert_array_equal(stack.energy, [700.0, 701.5])
    assert "1 of 3 images of s.hdr are missing" in stack.warnings[0]
    (tmp_path / "s_a000.xim").unlink()
    with pytest.raises(DataFileError, match=r"s_a000\.xim is missing"):
        read_stack(tmp_path / "s.hdr")


def test_damaged_headers_and_images_are_named(tmp_path):
    write_scan(tmp_path)
    (tmp_path / "s_a001.xim").write_text("1\t2\n3\t4\n")
    with pytest.raises(DataFileError, match=r"s_a001\.xim holds 4 numbers, expected 4 rows of 5"):
        read_stack(tmp_path / "s.hdr", signal="counts").data[:]
    text = (tmp_path / "s.hdr").read_text()
    (tmp_path / "s.hdr").write_text(text[:200])
    with pytest.raises(DataFileError, match="damaged SDF header"):
        read_stack(tmp_path / "s.hdr")


def test_header_values():
    found = parse_header(
        'A = { N = "x; y"; V = -1.5; L = (2, {K = "a";}, {K = "b";}); P = (3, 1, 2, 3}); E = ;};\nT = true;'
    )
    assert found == {
        "A": {"N": "x; y", "V": -1.5, "L": [{"K": "a"}, {"K": "b"}], "P": [1.0, 2.0, 3.0], "E": ""},
        "T": "true",
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s_a000.xim", r"open the header \(\.hdr\) beside it"),
        ("m.cbf", "convert it with FabIO"),
        ("v.txm", "export it as TIFF"),
    ],
)
def test_files_that_are_not_read_say_what_to_do(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"1\t2\n")
    with pytest.raises(DataFileError, match=said):
        read_stack(tmp_path / name)
