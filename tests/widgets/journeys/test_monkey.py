"""A user without a plan does no harm: no exception, nothing in the log, no thread and nothing of ours left."""

from __future__ import annotations

import gc
import logging
import os
import threading
from weakref import WeakSet

import pytest
from monkey import Complaints, Monkey, come_to_rest, without_dialogs
from qtpy.QtCore import QThreadPool

import napari_xanes as nx
from napari_xanes._widgets.parts.dock import Dock

pytestmark = pytest.mark.viewer

SEED = int(os.environ.get("XANES_MONKEY_SEED", "1"))
ACTIONS = int(os.environ.get("XANES_MONKEY_ACTIONS", "100"))


def stacks():
    return [one for one in gc.get_objects() if isinstance(one, nx.EnergyStack)]


def test_a_user_without_a_plan_does_no_harm(window, scan_file, references, monkeypatch, qtbot, rest):
    without_dialogs(monkeypatch)
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    before = set(threading.enumerate())
    of_others = WeakSet(stacks())  # what fixtures of other tests hold is not looked for
    monkey = Monkey(window, scan_file, references, SEED)
    try:
        for _ in range(ACTIONS):
            monkey.act()
            assert not complaints.texts, f"{complaints.texts} after {monkey.done[-12:]}"
        come_to_rest(window)
    finally:
        logging.getLogger().removeHandler(complaints)
    assert len(monkey.done) == ACTIONS, "it always found something to do"
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
    done = monkey.done
    del monkey
    gc.collect()
    alive = [one for one in stacks() if one not in of_others]
    assert not alive, f"{len(alive)} stacks are held by nobody who should, after {done}"
