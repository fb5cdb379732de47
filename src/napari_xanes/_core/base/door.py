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

from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.base.door_words import ARRAY, words_of
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.unread import (
    Unread,
    agreed,
    check_energies_named,
    is_labelled,
    is_lazy,
    labelled,
    per_energy,
    whole,
)

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


class _Streamed:
    """Marks arrays that are read a block at a time, if they come unread."""

    def __str__(self) -> str:
        return ""


StackLike = Annotated[ArrayLike, _Streamed()]
"""A stack, energy first: an array, or what is read where it is indexed, as of dask, zarr, h5py, or xarray."""


class _Unfit(Exception):
    """A value is not what was asked for."""


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments that are not what the annotations say, with an InputError that names them.

    Numbers and names reach the function as plain Python values, arrays as they came.  Of those that come unread, stacks
    reach it as `Unread`, all others are read.  Energies that are not given are those of a stack's coordinate.  It runs with BLAS
    held to one thread.
    """
    parameters = signature(function).parameters

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature(function).bind_partial(*args, **kwargs)
        hints = _hints(function)
        energy = bound.arguments.get("energy")
        for name, value in bound.arguments.items():
            declared = labelled(value)[1]
            if is_labelled(value) and (declared is None or per_energy(name, declared)):
                energy = agreed(energy, declared, name)
        if energy is not None and "energy" in parameters:
            bound.arguments["energy"] = energy
        elif "energy" in parameters and parameters["energy"].default is Parameter.empty:
            for name, value in bound.arguments.items():
                check_energies_named(value, name)
        for name, value in bound.arguments.items():
            if value is not parameters[name].default:
                several = parameters[name].kind is Parameter.VAR_POSITIONAL
                bound.arguments[name] = (
                    tuple(_checked(name, one, hints[name]) for one in value)
                    if several
                    else _checked(name, value, hints[name])
                )
        with one_blas_thread:
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
        raise InputError(f"{name} is {short(value)}, expected {words_of(annotation)}.") from None


def short(value: Any) -> str:
    """Return a value in a few words."""
    if (isinstance(value, np.ndarray) or is_lazy(value)) and value.ndim:
        return f"an array {tuple(value.shape)} of type {value.dtype}"
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
        if any(isinstance(mark, _Streamed) for mark in args[1:]):
            return _stack(value)
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
        return _array(value)
    if isinstance(annotation, TypeVar) or annotation in _PLAIN or annotation in (None, NoneType):
        plain: Callable[[Any], Any] = _PLAIN.get(annotation, _none)
        return plain(value)
    return _fit_inner(value, origin, args) if origin is not None else _instance(value, annotation)


def _fit_any(value: Any, members: Iterable[Any]) -> Any:
    members = list(members)
    if isinstance(value, str) and Path in members:
        return _str(value)
    array = set(members) >= ARRAY
    for one in members:
        if array and one in ARRAY:
            continue
        try:
            return _fit(value, one)
        except _Unfit:
            continue
    if array:
        return _array(value)
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
    if np.dtype(dtype).kind not in "fiub" or any(n != n for n in getattr(value, "shape", ())):
        raise _Unfit  # dask does not know the lengths of some arrays
    return value


def _array(value: Any) -> Any:
    """Return real numbers; those of a lazy array are read, a block at a time."""
    values = _real(labelled(value)[0])
    return whole(values) if is_lazy(values) else values


def _stack(value: Any) -> Any:
    """Return real numbers, unread if they come so; a single spectrum is read."""
    values = _real(labelled(value)[0])
    if isinstance(values, Unread) or not is_lazy(values):
        return values
    return Unread(values) if values.ndim > 1 else whole(values)


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
    ArrayLike: _array,
}
