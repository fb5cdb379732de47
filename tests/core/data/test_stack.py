"""The stack's own checks."""

import numpy as np
import pytest

from napari_xanes import EnergyStack, InputError
from napari_xanes._core.base.checks import check_energy, check_mu, window_indices
from napari_xanes._core.data.stack import rows_are_cheap

DATA = np.zeros((3, 4, 5), np.uint16)


def test_energy_is_float64_and_read_gives_fresh_float32():
    stack = EnergyStack(DATA, [[8300], [8310], [8320]], "counts")
    assert stack.energy.dtype == np.float64 and stack.energy.shape == (3,)
    frame = stack.read(1, slice(1, 3))
    assert frame.dtype == np.float32 and frame.shape == (2, 5)
    frame[:] = 7
    assert not DATA.any()


@pytest.mark.parametrize(
    ("energy", "said"),
    [
        ([1, 2], "3 images but 2 energies"),
        ([1, 2, 2], "do not ascend: 2 eV is followed by 2 eV"),
        ([3, 2, 1], "do not ascend"),
        ([1, np.nan, 3], "energy 2 of 3 .* is nan"),
        ([0, 1, 2], "energy 1 of 3 .* is 0"),
        (["a", "b", "c"], "expected real numbers"),
        (np.ones((3, 2)), "one number per image"),
    ],
)
def test_bad_energies_are_named(energy, said):
    with pytest.raises(InputError, match=said):
        EnergyStack(DATA, energy, "counts", name="scan.tif")


def test_bad_shape_and_signal_are_named():
    with pytest.raises(InputError, match=r"shape \(4, 5\), expected \(energy, y, x\)"):
        EnergyStack(DATA[0], [1, 2, 3], "counts")
    with pytest.raises(InputError, match="signal is 'absorbance'"):
        EnergyStack(DATA, [1, 2, 3], "absorbance")


def test_window_holds_its_ends_and_says_when_it_is_empty():
    energy = check_energy([10, 20, 30, 40])
    np.testing.assert_array_equal(window_indices(energy, (20, 30), "pre_edge"), [1, 2])
    shown = check_energy([9.997, 20.003, 30.02])  # 10.00, 20.00 and 30.02 on the screen
    np.testing.assert_array_equal(window_indices(shown, (10, 20), "pre_edge"), [0, 1])
    with pytest.raises(
        InputError, match=r"pre_edge \(21, 29\) eV holds 0 of the energies, at least 2.*10 to 40 eV"
    ):
        window_indices(energy, (21, 29), "pre_edge", at_least=2)
    with pytest.raises(InputError, match="a lower and a higher"):
        window_indices(energy, (30, 20), "pre_edge")


def test_mu_keeps_its_precision():
    assert check_mu(np.zeros((3, 2), np.float32), [1, 2, 3])[0].dtype == np.float32
    assert check_mu(np.zeros((3, 2)), [1, 2, 3])[0].dtype == np.float64
    assert check_mu(np.zeros((3, 2), int), [1, 2, 3])[0].dtype == np.float32
    with pytest.raises(InputError, match="real numbers"):
        check_mu(np.zeros((3, 2), complex), [1, 2, 3])


def test_rows_are_cheap_unless_a_chunk_is_a_frame(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["plain"] = np.zeros((3, 64, 8), np.uint16)
        file.create_dataset("frames", (3, 64, 8), "u2", chunks=(1, 64, 8))
        file.create_dataset("bands", (3, 64, 8), "u2", chunks=(3, 8, 8))
        assert rows_are_cheap(file["plain"]) and rows_are_cheap(file["bands"])
        assert not rows_are_cheap(file["frames"])
    assert rows_are_cheap(DATA)


def test_a_stack_is_shown_in_a_line():
    images = np.zeros((3, 40, 50), np.float32)
    stack = EnergyStack(images, np.array([8300.0, 8333.0, 8400.0]), "counts", flat=images, name="scan")
    assert repr(stack) == "<EnergyStack 'scan': 3 x 40 x 50, counts, 8300 to 8400 eV, with flats>"
