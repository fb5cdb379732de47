"""What the door lets in, and how it says what it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike

from napari_xanes import InputError, Reference
from napari_xanes._core.base.door import Count, Limits, public


@public
def taken(
    values: ArrayLike | None = None,
    number: float = 0.0,
    count: Count = 1,
    flag: bool = False,
    kind: Literal["a", "b"] = "a",
    window: tuple[float, float] | None = None,
    names: Sequence[str] = (),
    table: Mapping[str, ArrayLike] | None = None,
    references: Sequence[Reference] = (),
    share: Annotated[float, Limits(0, 1, above=True)] = 0.5,
    progress: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Return what came in."""
    return dict(locals())


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ({"number": np.float32(1.5)}, 1.5),
        ({"number": 3}, 3),
        ({"count": np.int64(4)}, 4),
        ({"count": np.array(4)}, 4),
        ({"flag": np.bool_(True)}, True),
        ({"window": [1, 2]}, (1, 2)),
        ({"window": np.array([1, 2.5])}, (1.0, 2.5)),
        ({"names": ("a", "b")}, ["a", "b"]),
        ({"share": 1}, 1),
        ({"values": [[1, 2]]}, [[1, 2]]),
    ],
)
def test_numbers_arrive_as_plain_ones_and_arrays_as_they_came(given, arrives):
    ((name, _),) = given.items()
    found = taken(**given)[name]
    assert found == arrives and type(found) is type(arrives)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"values": [1j]}, "values is [1j], expected real numbers or None."),
        ({"values": np.ones((2, 3), complex)}, "values is an array (2, 3) of type complex128, expected"),
        ({"number": 1 + 0j}, "number is (1+0j), expected a number."),
        ({"number": np.complex128(1)}, "expected a number."),
        ({"number": np.nan}, "number is nan, expected a number."),
        ({"number": np.inf}, "number is inf, expected a number."),
        ({"number": 5e-324}, "number is 5e-324, expected a number."),
        ({"number": 10**400}, "expected a number."),
        ({"number": "1"}, "number is '1', expected a number."),
        ({"count": 0}, "count is 0, expected a whole number from 1 on."),
        ({"count": 2.0}, "count is 2.0, expected a whole number from 1 on."),
        ({"count": 10**20}, "expected a whole number from 1 on."),
        ({"flag": 1}, "flag is 1, expected True or False."),
        ({"kind": "c"}, "kind is 'c', expected one of a, b."),
        ({"kind": []}, "kind is [], expected one of a, b."),
        ({"window": (1, 2, 3)}, "window is (1, 2, 3), expected two numbers or None."),
        ({"names": "ab"}, "names is 'ab', expected a list, each a text."),
        ({"names": "x" * 5000}, "...,"),
        ({"table": {"a": [1j]}}, "expected a table with real numbers by name or None."),
        (
            {"references": ["r.txt"]},
            "references is ['r.txt'], expected a list, each a Reference (read_references reads files).",
        ),
        ({"share": 0}, "share is 0, expected a number above 0, at most 1."),
        ({"progress": 3}, "progress is 3, expected a function or None."),
    ],
)
def test_what_does_not_fit_is_named(given, says):
    with pytest.raises(InputError) as caught:
        taken(**given)
    assert says in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 200
