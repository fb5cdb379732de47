"""The examples in the docstrings of the public names, run as they stand."""

from __future__ import annotations

import doctest

import pytest

import napari_xanes as nx

TESTS = [
    test
    for name in nx.__all__
    for test in doctest.DocTestFinder(recurse=False).find(
        getattr(nx, name), name, globs={name: getattr(nx, name)}
    )
    if test.examples
]


def test_there_are_examples():
    assert len(TESTS) >= 10


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_the_example_of(test):
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)
