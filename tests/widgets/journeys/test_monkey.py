"""A user without a plan does no harm: no exception, nothing in the log, no thread left, and no more alive each time."""

from __future__ import annotations

import gc
import logging
import os
import threading
from weakref import WeakSet

import pytest
from leaks import alive, grown
from monkey import Complaints, Monkey, come_to_rest, without_dialogs
from qtpy.QtCore import QThreadPool

import napari_xanes as nx
from napari_xanes._widgets.parts.dock import Dock

pytestmark = pytest.mark.viewer

SEED = int(os.environ.get("XANES_MONKEY_SEED", "1"))
ACTIONS = int(os.environ.get("XANES_MONKEY_ACTIONS", "100"))
LATER = 3 * ACTIONS // 10
"""Of these, how many are done again by the same seed; what is loaded for the first time was so before."""


def stacks():
    return [one for one in gc.get_objects() if isinstance(one, nx.EnergyStack)]


def test_a_user_without_a_plan_does_no_harm(window, scan_file, references, monkeypatch, qtbot, rest):
    without_dialogs(monkeypatch)
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    before, found = set(threading.enumerate()), []
    of_others = WeakSet(stacks())  # what fixtures of other tests hold is not looked for
    try:
        for seed, actions in ((SEED, ACTIONS - 2 * LATER), (SEED + 1, LATER), (SEED + 1, LATER)):
            monkey = Monkey(window, scan_file, references, seed)
            for _ in range(actions):
                monkey.act()
                assert not complaints.texts, f"{complaints.texts} after {monkey.done[-12:]}"
            come_to_rest(window)
            assert len(monkey.done) == actions, "it always found something to do"
            done = monkey.done
            del monkey
            found.append(alive())
    finally:
        logging.getLogger().removeHandler(complaints)
    assert not complaints.texts
    assert not [one for one in window.window.dock_widgets.values() if isinstance(one, Dock)]
    assert QThreadPool.globalInstance().activeThreadCount() == 0
    left = [
        one
        for one in set(threading.enumerate()) - before
        if isinstance(one, threading.Timer) or not one.daemon
    ]
    left = [one for one in left if one.is_alive() and "getting ready" not in one.name]
    assert not left
    assert not grown(found[1], found[2]), f"after {done}"
    held = [one for one in stacks() if one not in of_others]
    assert not held, f"{len(held)} stacks are held by nobody who should, after {done}"
