"""Scans in all layouts and combinations: each opens as what was written, or is refused with a remedy; nothing else.

Where a layout does not declare its axes and two are as long, it is asked which is energy.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from layouts import LAYOUTS, Case, cases

import napari_xanes as nx

EACH = 14
REMEDY = re.compile(r"\w+=|\b(give|name|say|save|export|copy|open|leave|choose|mend|put|install)\b")
KEEPS_FLATS = ("bare HDF5", "NeXus", "DataExchange", "image_key", "series of HDF5", "netCDF-4", "other name")


def fault(stack: nx.EnergyStack, case: Case, flats: bool) -> str:
    """Return what is wrong with a stack, "" if nothing is."""
    if stack.shape != case.images.shape:
        return f"shape {stack.shape}, not {case.images.shape}"
    if not np.allclose(stack.energy, case.energy, rtol=0, atol=2e-3):
        return f"energies {stack.energy[[0, -1]]} from {stack.source['energy_source']}"
    if not np.array_equal(np.asarray(stack.data[:]), case.images):
        return "values"
    if stack.signal != case.signal:
        return f"signal {stack.signal}, not {case.signal}"
    if flats and case.flats is not None:
        whole = nx.flat_field(case.images, case.flats, case.darks)
        found = nx.flat_field(
            np.asarray(stack.data[:]),
            stack.flat[:],
            None if stack.dark is None else stack.dark[:].reshape(-1, *stack.shape[1:]),
        )
        if not np.allclose(found, whole, rtol=1e-4, equal_nan=True):
            return "flats or darks"
    return ""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_opens_as_it_was_written_or_is_refused_with_a_remedy(tmp_path, layout, seed):
    write, may_differ = LAYOUTS[layout]
    wrong, refused = [], []
    for number, case in enumerate(cases(seed, EACH, **may_differ)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write(folder, case)
        said = f"{number}: {case.images.shape} {case.images.dtype} {case.axes} {case.unit} falling={case.falling}"
        try:
            stack = nx.read_stack(path)
        except nx.XanesError as error:
            refused.append(f"{said}: {error}")
            continue
        found = fault(stack, case, layout in KEEPS_FLATS)
        if found:
            wrong.append(f"{said}: {found}; {stack.warnings}")
    assert not wrong, "\n".join(wrong)
    assert all(REMEDY.search(text.split(": ", 2)[2]) for text in refused), "\n".join(refused)
    assert len(refused) <= EACH // 3, "\n".join(refused)


def test_the_corpus_holds_what_differs():
    every = [case for _, may in LAYOUTS.values() for case in cases(1, EACH, **may)]
    assert {case.unit for case in every} == {"eV", "keV"} and {case.falling for case in every} == {
        True,
        False,
    }
    assert {case.images.ndim for case in every} == {3, 4} and {case.order for case in every} >= {
        "eyx",
        "yxe",
        "yex",
    }
    assert {case.images.dtype.byteorder for case in every} >= {"<", ">"} or {
        c.images.dtype.str[0] for c in every
    } >= {"<", ">"}
    assert {case.images.dtype.str[1:] for case in every} == {"u2", "u4", "i4", "f4", "f8"}
    assert {case.ones for case in every} == {0, 1} and {case.compression for case in every} == {0, 1, 2, 3}
    assert {None if case.flats is None else len(case.flats) == len(case.energy) for case in every} == {
        None,
        True,
        False,
    }
