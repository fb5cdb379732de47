"""What a parameter would be were it left automatic is looked for while the window lives."""

from __future__ import annotations

import threading

import numpy as np

from napari_xanes._widgets.steps.automatic import automatic


class Read:
    """Data that are read when they are asked for, and by whom."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim = data, data.shape, data.dtype, data.ndim
        self.threads = set()

    def __getitem__(self, key):
        self.threads.add(threading.current_thread())
        return self.data[key]


def test_a_stack_that_is_read_from_a_file_is_not_read_by_the_window(qapp, density):
    lazy = Read(np.asarray(density.data))
    e0 = automatic(density.replace(data=lazy), "normalize", "e0", {})
    assert density.energy[0] < e0 < density.energy[-1]
    assert lazy.threads and threading.main_thread() not in lazy.threads
