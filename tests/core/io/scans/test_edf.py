"""ESRF .edf images, held against the arrays they were written from by fabio."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx

fabio = pytest.importorskip("fabio")
EdfImage = fabio.edfimage.EdfImage
RNG = np.random.default_rng(2)
E = np.linspace(7100.0, 7160.0, 5)
IMAGES = RNG.random((5, 6, 9))


def one_file(path, images, headers):
    image = EdfImage(data=images[0], header=headers[0])
    for frame, header in zip(images[1:], headers[1:], strict=True):
        image.append_frame(data=frame, header=header)
    image.write(str(path))
    return path


@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "i4"])
@pytest.mark.parametrize("header", [{"energy": "{kev:.5f}"}, {"Energy": "{ev:.3f} eV"}, {"motor_mne": "samy mono srcur", "motor_pos": "1.5 {kev:.5f} 200"}])  # fmt: skip
@pytest.mark.parametrize("series", [False, True])
def test_frames_and_energies_of_headers(tmp_path, dtype, header, series):
    images = (IMAGES * 1000).astype(dtype)
    headers = [{k: v.format(kev=e / 1000, ev=e) for k, v in header.items()} for e in E]
    if series:
        for i in range(len(E)):
            one_file(tmp_path / f"map_{i:04d}.edf", images[i : i + 1], headers[i : i + 1])
    path = tmp_path if series else one_file(tmp_path / "a.edf", images, headers)
    stack = nx.read_stack(path, signal="counts")
    np.testing.assert_array_equal(stack.data[:], images)
    np.testing.assert_array_equal(stack.data[3, 2:5, 1:4], images[3, 2:5, 1:4])
    np.testing.assert_allclose(stack.energy, E, atol=1e-3)


def test_big_endian_and_packed_frames(tmp_path):
    head = "{{\nHeaderID = EH:000001:000000:000000 ;\nByteOrder = HighByteFirst ;\nDataType = UnsignedShort ;\nDim_1 = 9 ;\nDim_2 = 6 ;\nSize = 108 ;\nenergy = {:.3f} ;\n"
    images = (IMAGES * 1000).astype(">u2")
    for i, energy in enumerate(E):
        text = head.format(energy)
        (tmp_path / f"a_{i}.edf").write_bytes(
            (text + " " * (510 - len(text)) + "}\n").replace("{{", "{").encode() + images[i].tobytes()
        )
    np.testing.assert_array_equal(nx.read_stack(tmp_path).data[:], images)


def test_energies_of_electrons_are_not_taken(tmp_path):
    path = one_file(
        tmp_path / "a.edf", IMAGES.astype("f4"), [{"machine_energy": "6.04", "ring_energy": "6.0"}] * 5
    )
    with pytest.raises(nx.DataFileError, match="no energies were found"):
        nx.read_stack(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = one_file(tmp_path / "a.edf", IMAGES, [{"energy": str(e)} for e in E])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(nx.DataFileError, match=r"cut off|damaged|cannot be read"):
        nx.read_stack(path).data[4]


def test_without_fabio_it_says_what_to_install(tmp_path, monkeypatch):
    path = one_file(tmp_path / "a.edf", IMAGES, [{"energy": str(e)} for e in E])
    monkeypatch.setitem(__import__("sys").modules, "fabio", None)
    with pytest.raises(nx.DataFileError, match=r"needs fabio .*napari-xanes\[formats\]"):
        nx.read_stack(path)
