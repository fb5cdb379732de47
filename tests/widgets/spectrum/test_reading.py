"""Spectra of pins, shapes and labels, read while layers come and go."""

from __future__ import annotations

import numpy as np

from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.spectrum import mean_spectra
from napari_xanes._widgets.spectrum.mean_spectra import MEASURED
from napari_xanes._widgets.spectrum.reading import Reading


def test_layers_that_come_and_go_while_a_file_is_read_count_from_the_next_time_on(viewer, scan, monkeypatch):
    monkeypatch.setattr(mean_spectra, "QUICK_ROWS", 0)
    layer, reading = add_stack(viewer, scan), Reading(viewer)
    labels = np.zeros(scan.image_shape, np.uint8)
    labels[:4, :4] = 1
    for name in "ab":
        viewer.add_labels(labels, name=name)

    def meanwhile(read):
        if "c" not in viewer.layers:
            viewer.add_labels(labels, name="c")
            viewer.layers.remove("a")
        return read()

    reading.wait = meanwhile
    reading.read_regions(layer, layer, MEASURED)
    assert set(reading.spectra) == {"a 1", "b 1"}
    reading.read_regions(layer, layer, MEASURED)
    assert set(reading.spectra) == {"b 1", "c 1"}
