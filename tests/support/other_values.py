"""For every parameter of a step, values other than its default, taken from its declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from napari_xanes._core.base.params import Params

GOES_WITH: Mapping[str, Mapping[str, Any]] = {
    "flatten": {"divide_by": "step"},
    "area_range": {"divide_by": "area"},
    "shift_limit": {"shift_references": True},
}
"""What else must be set for a parameter to be allowed, or to do anything."""


def other_values(cls: type[Params], given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of every parameter of a class with settings in which it has another value than its default.

    Choices give each of the others, switches the other side, numbers half of the default, and what has no default
    the example of its declaration, or what is `given` for it.
    """
    for name, info in cls.model_fields.items():
        for value in [given[name]] if name in given else _others(info):
            assert value != info.default, name
            yield name, {**GOES_WITH.get(name, {}), name: value}


def _others(info: FieldInfo) -> list[Any]:
    choices = _choices(info.annotation)
    if choices:
        return [one for one in choices if one != info.default]
    if isinstance(info.default, bool):
        return [not info.default]
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    if extra["example"] is not None:
        return [extra["example"]]
    return [info.default / 2]


def _choices(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [one for part in get_args(annotation) if get_origin(part) is Literal for one in get_args(part)]
