"""The door of the public functions: each argument is what its annotation says, or one sentence says what it is.

Only kinds of values are looked at here, and sizes that nothing measured has; what belongs together is checked by the
functions themselves.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from inspect import Parameter, signature
from math import inf
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from numpy.typing import ArrayLike

from napari_xanes._core.base.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

LARGE, SMALL = 1e30, 1e-30
"""Beyond and below, in size, there is no number that is meant."""
MOST, LONGEST_TEXT = 2**31 - 1, 4096


@dataclass(frozen=True)
class Limits:
    """What a number must lie between, as ``Annotated[int, Limits(1)]``."""

    least: float = -LARGE
    most: float = LARGE
    above: bool = False
    """Whether it must be more than the least."""

    def hold(self, value: float) -> bool:
        """Whether a number is within."""
        return (self.least < value if self.above else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        words = []
        if self.least > -LARGE:
            words.append(f"above {self.least:g}" if self.above else f"from {self.least:g} on")
        if self.most < LARGE:
            words.append(f"at most {self.most:g}")
        return ", ".join(words)


Count = Annotated[int, Limits(1)]
Axes = Annotated[int, Limits(1, 3)]
Seed = Annotated[int, Limits(0)]
Positive = Annotated[float, Limits(0, above=True)]
NotNegative = Annotated[float, Limits(0)]
Boundless = Annotated[float, Limits(-inf, inf)]
"""A number that may be infinite."""

_ARRAY = set(get_args(ArrayLike))


class _Unfit(Exception):
    """A value is not what was asked for."""


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments that are not what the annotations say, with an InputError that names them.

    Numbers and names reach the function as plain Python values, arrays as they came.
    """
    parameters = signature(function).parameters

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature(function).bind(*args, **kwargs)
        hints = _hints(function)
        for name, value in bound.arguments.items():
            if value is not parameters[name].default:
                several = parameters[name].kind is Parameter.VAR_POSITIONAL
                bound.arguments[name] = (
                    tuple(_checked(name, one, hints[name]) for one in value)
                    if several
                    else _checked(name, value, hints[name])
                )
        return function(*bound.args, **bound.kwargs)

    return inner


@cache
def _hints(function: Any) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


def check_fields(made: Any, *names: str) -> None:
    """Refuse fields of a dataclass that are not what its annotations say, with an InputError that names them."""
    for name in names:
        object.__setattr__(
            made, name, _checked(name, getattr(made, name), _hints(cast(Any, type(made)))[name])
        )


def _checked(name: str, value: Any, annotation: Any) -> Any:
    try:
        return _fit(value, annotation)
    except _Unfit:
        raise InputError(f"{name} is {short(value)}, expected {_words(annotation)}.") from None


def short(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array {value.shape} of type {value.dtype}"
    if isinstance(value, (int, float, complex, str, bytes, NoneType, np.generic)) or not value:
        text = repr(value)
        return text if len(text) < 60 else f"{text[:50]}..."
    if isinstance(value, (list, tuple)) and len(value) < 5:
        return ("[{}]" if isinstance(value, list) else "({})").format(", ".join(map(short, value)))
    return f"a {type(value).__name__}"


def _fit(value: Any, annotation: Any) -> Any:
    """Return a value as an annotation says, or raise _Unfit."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        boundless = any(isinstance(limit, Limits) and limit.most == inf for limit in args[1:])
        number = _number(value) if boundless else _fit(value, args[0])
        if not all(limit.hold(number) for limit in args[1:] if isinstance(limit, Limits)):
            raise _Unfit
        return number
    if origin in (Union, UnionType):
        return _fit_any(value, args)
    if origin is Literal:
        if isinstance(value, (str, int, NoneType)) and value in args:
            return value
        raise _Unfit
    if origin is np.ndarray:
        return _real(value)
    if isinstance(annotation, TypeVar) or annotation in _PLAIN or annotation in (None, NoneType):
        plain: Callable[[Any], Any] = _PLAIN.get(annotation, _none)
        return plain(value)
    return _fit_inner(value, origin, args) if origin is not None else _instance(value, annotation)


def _fit_any(value: Any, members: Iterable[Any]) -> Any:
    members = list(members)
    if isinstance(value, str) and Path in members:
        return _str(value)
    array = set(members) >= _ARRAY
    for one in members:
        if array and one in _ARRAY:
            continue
        try:
            return _fit(value, one)
        except _Unfit:
            continue
    if array:
        return _real(value)
    raise _Unfit


def _fit_inner(value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    """Look into what holds other values; iterables of strings are strings, which are none."""
    if origin is Callable or not isinstance(origin, type):
        return _callable(value)
    if issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _Unfit
        return {_fit(key, args[0]): _fit(one, args[1]) for key, one in value.items()}
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise _Unfit
    if isinstance(value, np.ndarray) and not value.ndim:
        raise _Unfit
    values = list(value)
    if origin is tuple and args[-1] is not Ellipsis:
        if len(values) != len(args):
            raise _Unfit
        return tuple(_fit(one, kind) for one, kind in zip(values, args, strict=True))
    fitted = [_fit(one, args[0]) for one in values]
    return tuple(fitted) if origin is tuple else fitted


def _real(value: Any) -> Any:
    """Look whether values are real numbers; those of a lazy array are not read."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        try:
            dtype = np.asarray(value).dtype
        except (ValueError, TypeError, OverflowError):
            raise _Unfit from None
    if np.dtype(dtype).kind not in "fiub":
        raise _Unfit
    return value


def _scalar(value: Any) -> Any:
    """Return what an array of one number holds, and any other value as it is."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return value.item() if isinstance(value, np.generic) else value


def _number(value: Any) -> float:
    number = _scalar(value)
    if not isinstance(number, Real) or isinstance(number, bool) or number != number:
        raise _Unfit
    try:
        return number if isinstance(number, int) and abs(number) <= MOST else float(number)
    except OverflowError:
        raise _Unfit from None


def _float(value: Any) -> float:
    number = _number(value)
    if not (number == 0 or SMALL <= abs(number) <= LARGE):
        raise _Unfit
    return number


def _int(value: Any) -> int:
    number = _scalar(value)
    try:
        whole = operator.index(number)
    except TypeError:
        raise _Unfit from None
    if isinstance(number, bool) or abs(whole) > MOST:
        raise _Unfit
    return whole


def _bool(value: Any) -> bool:
    flag = _scalar(value)
    if not isinstance(flag, bool):
        raise _Unfit
    return flag


def _str(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise _Unfit
    return str(value)


def _instance(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise _Unfit
    return _real(value) if hasattr(value, "dtype") else value


def _none(value: Any) -> None:
    if value is not None:
        raise _Unfit


def _callable(value: Any) -> Any:
    if not callable(value):
        raise _Unfit
    return value


_PLAIN: Mapping[Any, Callable[[Any], Any]] = {
    float: _float,
    int: _int,
    bool: _bool,
    str: _str,
    ArrayLike: _real,
}


_REMEDIES = {
    "EnergyStack": "an EnergyStack (open each file with read_stack)",
    "Reference": "a Reference (read_references reads files)",
    "Drift": "a Drift, as estimate_drift returns it",
    "EdgeNormalization": "what normalize_edge returned",
}


def _words(annotation: Any) -> str:
    """Return an annotation in words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = ", ".join(str(one) for one in args[1:] if isinstance(one, Limits))
        return f"{_words(args[0])} {limits}".strip()
    if origin in (Union, UnionType):
        array = set(args) >= _ARRAY
        kinds = [_words(one) for one in args if not (array and one in _ARRAY)]
        return " or ".join(dict.fromkeys([*(["real numbers"] if array else []), *kinds]))
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin is np.ndarray or annotation == ArrayLike:
        return "real numbers"
    if origin is not None and isinstance(origin, type):
        if issubclass(origin, Mapping):
            return f"a table with {_words(args[1])} by name"
        if origin is tuple and args[-1] is not Ellipsis:
            return _several(args)
        if issubclass(origin, Iterable):
            return f"a list, each {_words(args[0])}"
    named = {float: "a number", int: "a whole number", bool: "True or False", str: "a text", NoneType: "None"}
    return named.get(annotation) or _class_words(annotation)


def _several(args: tuple[Any, ...]) -> str:
    words = [_words(one) for one in args]
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
