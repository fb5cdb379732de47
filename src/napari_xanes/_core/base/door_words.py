"""What arguments must be, by their annotations, in the words of errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike

ARRAY = set(get_args(ArrayLike))

_REMEDIES = {
    "EnergyStack": "an EnergyStack (open each file with read_stack)",
    "Reference": "a Reference (read_references reads files)",
    "Drift": "a Drift, as estimate_drift returns it",
    "EdgeNormalization": "what normalize_edge returned",
}


def words_of(annotation: Any) -> str:
    """Return an annotation in words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = ", ".join(filter(None, map(str, args[1:])))
        return f"{words_of(args[0])} {limits}".strip()
    if origin in (Union, UnionType):
        array = set(args) >= ARRAY
        kinds = [words_of(one) for one in args if not (array and one in ARRAY)]
        return " or ".join(dict.fromkeys([*(["real numbers"] if array else []), *kinds]))
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin is np.ndarray or annotation == ArrayLike:
        return "real numbers"
    if origin is not None and isinstance(origin, type):
        if issubclass(origin, Mapping):
            return f"a table with {words_of(args[1])} by name"
        if origin is tuple and args[-1] is not Ellipsis:
            return _several(args)
        if issubclass(origin, Iterable):
            return f"a list, each {words_of(args[0])}"
    named = {float: "a number", int: "a whole number", bool: "True or False", str: "a text", NoneType: "None"}
    return named.get(annotation) or _class_words(annotation)


def _several(args: tuple[Any, ...]) -> str:
    words = [words_of(one) for one in args]
    if len(set(words)) == 1 and 1 < len(words) < 5 and words[0].endswith("number"):
        return f"{('two', 'three', 'four')[len(words) - 2]} {words[0].removeprefix('a ')}s"
    return f"({', '.join(words)})"


def _class_words(annotation: Any) -> str:
    name = getattr(annotation, "__name__", "")
    if name in _REMEDIES:
        return _REMEDIES[name]
    return {"ArrayLike": "real numbers", "Path": "a path", "Callable": "a function", "": "a function"}.get(
        name, f"a {name}"
    )
