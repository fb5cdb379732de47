"""Scans put together, against numpy on whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import EnergyStack, InputError, combine_scans, flat_field

RNG = np.random.default_rng(3)


def scan(energy, signal="optical_density", **more):
    return EnergyStack(
        RNG.random((len(energy), 20, 30)).astype(np.float32), energy, signal, name="part", **more
    )


def test_parts_come_in_the_order_of_their_energies():
    a, b = scan([8300.0, 8320, 8340]), scan([8310.0, 8320.01, 8350], pixel_size_um=None)
    both = combine_scans([a, b])
    np.testing.assert_allclose(both.energy, [8300, 8310, 8320.005, 8340, 8350])
    data = np.asarray(both.data[:])
    np.testing.assert_array_equal(data[0], a.data[0])
    np.testing.assert_array_equal(data[1], b.data[0])
    np.testing.assert_allclose(data[2], (a.data[1] + b.data[1]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(both.read(4, slice(3, 8)), b.data[2, 3:8])
    assert any("averaged as they are" in text for text in both.warnings)
    assert not combine_scans([a, scan([8310.0, 8350])]).warnings
    assert both.signal == "optical_density" and both.source["tolerance"] == 0.02


def test_counts_are_divided_by_their_own_flats():
    a = scan(
        [8300.0, 8320], "counts", flat=2 + RNG.random((20, 30)), dark=np.float32(0.1) * np.ones((20, 30))
    )
    b = scan([8310.0, 8330], "counts", flat=5 + RNG.random((2, 20, 30)))
    both = combine_scans([a, b])
    assert both.signal == "transmission" and both.flat is None
    np.testing.assert_array_equal(both.read(0), flat_field(a.data, a.flat, a.dark)[0])
    np.testing.assert_array_equal(both.read(3, slice(4, 9)), flat_field(b.data, b.flat)[1, 4:9])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signal": "transmission"}, "has the signal transmission"),
        ({"data": np.ones((2, 5, 5), np.float32)}, r"has images of \(5, 5\)"),
        ({"pixel_size_um": 0.5}, "has pixels of"),
        ({"flat": np.ones((20, 30))}, "has flats: True"),
    ],
)
def test_scans_that_are_not_alike_are_refused(change, said):
    a = scan([8300.0, 8320])
    with pytest.raises(InputError, match=said):
        combine_scans([a, scan([8310.0, 8330]).replace(**change)])
    with pytest.raises(InputError, match="got no scan"):
        combine_scans([])
    with pytest.raises(InputError, match="open each file with read_stack"):
        combine_scans(["a.h5", "b.h5"])
