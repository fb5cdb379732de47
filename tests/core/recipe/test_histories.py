"""Histories of several results of one scan as one recipe."""

from __future__ import annotations

from napari_xanes._core.data.history import Entry
from napari_xanes._core.recipe.histories import merge_histories


def step(do, **params):
    return Entry(do, params)


DENSITY, ALIGN, NORMALIZE, FIT, PEAK, CLUSTER, RANK = map(
    step, ("optical_density", "align", "normalize", "fit", "peak", "cluster", "rank")
)


def names(*histories):
    return [entry.step for entry in merge_histories(histories)]


def test_what_was_measured_on_an_earlier_stack_comes_before_the_stack_was_changed():
    peak_before_align = [DENSITY, PEAK]
    assert names([DENSITY, ALIGN, NORMALIZE, FIT], peak_before_align) == [
        *("optical_density", "peak", "align", "normalize", "fit")
    ]
    assert names(peak_before_align, [DENSITY, ALIGN]) == ["optical_density", "peak", "align"]


def test_every_step_is_there_once():
    merged = names(
        [DENSITY, NORMALIZE], [DENSITY, NORMALIZE, CLUSTER], [DENSITY, NORMALIZE, CLUSTER, RANK], [DENSITY]
    )
    assert merged == ["optical_density", "normalize", "cluster", "rank"]
    other = step("peak", window=[1, 2])
    assert names([NORMALIZE, PEAK], [NORMALIZE, other]).count("peak") == 2
    assert merge_histories([]) == ()


def test_what_saw_no_mask_comes_before_the_mask():
    mask = step("mask", of="thickness", apply=True)
    assert names([NORMALIZE, FIT], [NORMALIZE, mask, CLUSTER]) == ["normalize", "fit", "mask", "cluster"]
    assert names([NORMALIZE, mask, CLUSTER], [NORMALIZE, PEAK, RANK]) == [
        *("normalize", "peak", "rank", "mask", "cluster")
    ]
