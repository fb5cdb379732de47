"""BLAS held to one thread."""

import threading

import numpy as np
import pytest
from blas import two_blas_threads
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info

import napari_xanes as nx
from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.base.door import public
from napari_xanes._core.engine import blocks
from napari_xanes._core.prepare.denoise import DenoiseParams
from napari_xanes._core.runs.pipeline import run_steps


@two_blas_threads()
def test_public_functions_hold_it():
    before = threads_of_blas()
    assert set(public(threads_of_blas)().values()) == {1}
    assert threads_of_blas() == before


@two_blas_threads()
def test_steps_hold_it_from_their_first_report_on():
    before, found = threads_of_blas(), []
    stack = nx.EnergyStack(np.ones((4, 8, 8), np.float32), [7100.0, 7110, 7120, 7130], "optical_density")
    steps = [("denoise", DenoiseParams())]
    run_steps(
        stack, steps, keep_stack=True, progress=lambda *_: found.append(set(threads_of_blas().values()))
    )
    assert found and all(threads == {1} for threads in found)
    assert threads_of_blas() == before


@two_blas_threads()
def test_blas_gets_its_threads_back_when_runs_overlap():
    """Two runs that overlap without being nested."""
    before = threads_of_blas()
    leave, inside = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def work(i):
        inside[i].set()
        assert leave[i].wait(30)

    runs = [threading.Thread(target=blocks.run, args=(work, [i])) for i in (0, 1)]
    for thread, event in zip(runs, inside, strict=True):
        thread.start()
        assert event.wait(30)
    leave[0].set()
    runs[0].join()
    assert set(threads_of_blas().values()) == {1}
    leave[1].set()
    runs[1].join()
    assert threads_of_blas() == before


@two_blas_threads()
def test_blas_gets_its_threads_back_after_an_interrupt(monkeypatch):
    before, join = threads_of_blas(), threading.Thread.join

    def interrupted(thread):
        join(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt), one_blas_thread:
            pass
    with one_blas_thread:
        assert set(threads_of_blas().values()) == {1}
    assert threads_of_blas() == before


@two_blas_threads()
def test_k_means_limits_blas_only_where_it_is_held_anyway(monkeypatch):
    """scikit-learn limits BLAS by itself, and sets back what it found: overlapping runs must not be what it finds."""
    before, fit, found = threads_of_blas(), KMeans.fit, []

    def watched(self, *args):
        found.append(set(threads_of_blas().values()))
        return fit(self, *args)

    monkeypatch.setattr(KMeans, "fit", watched)
    nx.cluster_spectra(np.random.default_rng(0).random((9, 8, 8)), 2)
    assert found and all(threads == {1} for threads in found)
    assert threads_of_blas() == before


def threads_of_blas():
    return {p["filepath"]: p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}
