"""Flat field against its formula; what cannot be divided is NaN and counted."""

import numpy as np
import pytest
from carry_out import carry_out

from napari_xanes import EnergyStack, InputError, flat_field
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.prepare.flat_field import FLAT_FIELD, FlatFieldParams
from napari_xanes._core.runs.pipeline import run_steps

RNG = np.random.default_rng(5)
T = RNG.uniform(0.2, 1, (4, 9, 11))
DARK = RNG.uniform(90, 110, (9, 11))
FLATS = RNG.uniform(8000, 9000, (4, 9, 11))
ENERGY = [8300.0, 8310, 8320, 8330]


@pytest.mark.parametrize(
    "flat",
    [
        FLATS,
        FLATS[:1],
        FLATS[0],
        np.stack([FLATS[0] - 50, FLATS[0] + 50]),
        np.array([1000.0, 2000, 3000, 4000]),
    ],
    ids=["per energy", "one of one", "one", "averaged", "spectrum"],
)
@pytest.mark.parametrize(
    "dark", [None, 100.0, DARK, np.stack([DARK - 3, DARK + 3])], ids=["none", "number", "one", "averaged"]
)
def test_transmission_comes_back(flat, dark):
    offset = 0.0 if dark is None else (dark.mean(axis=0) if np.ndim(dark) == 3 else dark)
    beam = (
        flat[:, None, None]
        if flat.ndim == 1
        else (flat.mean(axis=0) if flat.ndim == 3 and len(flat) == 2 else flat)
    )
    counts = T * (beam - offset) + offset
    before = counts.copy()
    found = flat_field(counts, flat, dark)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, T, rtol=1e-5)
    np.testing.assert_array_equal(counts, before)


def test_one_image_and_volumes():
    np.testing.assert_allclose(flat_field(T[0] * FLATS[0], FLATS[0]), T[0], rtol=1e-5)
    volumes = np.stack([T, T])
    np.testing.assert_allclose(flat_field(volumes * FLATS, FLATS), volumes, rtol=1e-5)


def test_pixels_without_beam_are_nan_alone():
    flats = FLATS.copy()
    flats[:, 2, 3], flats[:, 4, 5] = 0, DARK[4, 5] - 1
    found = flat_field(T * FLATS, flats, DARK)
    bad = np.isnan(found[0])
    assert bad[2, 3] and bad[4, 5] and bad.sum() == 2


@pytest.mark.parametrize(
    ("flat", "dark", "said"),
    [
        (FLATS[:, :8], None, r"flat has shape \(4, 8, 11\), the images \(9, 11\)"),
        (np.ones(3), None, "beam spectrum has 3 values, the stack has 4 energies"),
        (FLATS * 0, None, "nowhere above the dark .median"),
        (FLATS, FLATS[0] + 1e4, "nowhere above the dark .median"),
        (FLATS, DARK[:3], r"dark has shape \(3, 11\)"),
    ],
)
def test_what_cannot_be_divided_is_refused(flat, dark, said):
    with pytest.raises(InputError, match=said):
        flat_field(T, flat, dark)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_divides_once_and_counts(in_memory):
    flats = FLATS.copy()
    flats[:, 0, 0] = 0
    stack = EnergyStack(T * (FLATS - DARK) + DARK, ENERGY, "counts", flat=flats, dark=DARK[None])
    chain = Chain(stack, in_memory=in_memory)
    found = carry_out(FLAT_FIELD, chain)
    assert found["pixels_without_beam"] == 1 and "1 of 99 pixels (1.0 %)" in found.warnings[0]
    again = carry_out(FLAT_FIELD, chain)
    assert again.entry.facts == {"skipped": "the data are transmission already"}
    data = chain.run(keep_stack=True)
    np.testing.assert_allclose(data[:, 1:], T[:, 1:], rtol=1e-5)
    assert np.isnan(data[:, 0, 0]).all()
    np.testing.assert_array_equal(chain.read(2, slice(3, 5)), data[2, 3:5])


def test_faults_name_the_scan_and_what_to_give():
    step = [("flat_field", FlatFieldParams())]
    scan = EnergyStack(T, ENERGY, "counts", name="scan.h5")
    with pytest.raises(
        InputError, match=r"scan.h5, flat_field: .* holds counts but no flats; name the dataset"
    ):
        run_steps(scan, step)
    with pytest.raises(
        InputError, match=r"scan.h5, flat_field: the flat has shape \(4, 8, 11\), the images \(9, 11\)"
    ):
        run_steps(scan.replace(flat=FLATS[:, :8]), step)


@pytest.mark.parametrize("value", [0.0, -5.0, np.inf, np.nan])
def test_a_beam_that_is_no_number_above_the_dark_spoils_its_pixel_alone(value):
    flat = FLATS[0].copy()
    flat[1, 1] = value
    bad = np.isnan(flat_field(T * 1000, flat))
    assert bad[:, 1, 1].all() and bad.sum() == len(T)


def test_scaling_counts_and_flats_alike_changes_nothing():
    np.testing.assert_array_equal(flat_field(4 * T * FLATS, 4 * FLATS), flat_field(T * FLATS, FLATS))


@pytest.mark.parametrize("value", [65535, 5000])
def test_a_frame_of_one_count_is_lost_and_named(value):
    counts = (T * FLATS).astype(np.uint16)
    counts[2] = value
    result = run_steps(
        EnergyStack(counts, ENERGY, "counts", flat=FLATS),
        [("flat_field", FlatFieldParams())],
        keep_stack=True,
    )
    assert np.isnan(result.stack.data[2]).all() and np.isfinite(result.stack.data[[0, 1, 3]]).all()
    how = (
        "no valid pixel and are left out"
        if value == 65535
        else "the same count in every pixel and are invalid"
    )
    assert f"1 of 4 frames hold {how}: 8320.00 eV" in result.warnings
