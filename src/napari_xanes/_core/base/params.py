"""What a step's parameters are: one frozen class a step, declared beside the step.

Default, range, label, unit and tooltip of a parameter stand once, in its `field`; the form in the
window, the recipe file and the command line's template are all made from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_xanes._core.base.errors import InputError

Window = tuple[float, float]
"""An energy window (lo, hi) in eV; it holds every energy lo <= E <= hi."""

Roi = tuple[int, int, int, int]
"""Rows and columns (y0, y1, x0, x1), the ends not included."""

FILE_WIDGETS = ("references", "file")
"""Hints for the form that say that a parameter names files."""


class Params(BaseModel):
    """Base of the parameters of a step: immutable, no unknown keys; None means "choose for me"."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)

    def files(self) -> dict[str, tuple[str, ...]]:
        """Return the paths of files among the parameters, by the parameter's name."""
        named: dict[str, tuple[str, ...]] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if (
                isinstance(info.json_schema_extra, dict)
                and info.json_schema_extra["widget"] in FILE_WIDGETS
                and value
            ):
                named[name] = (value,) if isinstance(value, str) else tuple(value)
        return named


P = TypeVar("P", bound=Params)


def field(default: Any, label: str, tooltip: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare a parameter.

    Parameters
    ----------
    default : Any
        The value when nothing is given; None means automatic.
    label : str
        What stands before the input in the form, in the user's words.
    tooltip : str
        One or two plain sentences: what it does and when to change it.
    unit : str, optional
        Unit shown with the value, such as "eV" or "px".
    **limits : Any
        Passed to `pydantic.Field`: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``; and ``widget``, a hint
        for the form ("references", "file", "window", "roi", ...), and ``example``, shown in the recipe template where
        there is no default; and ``rare``, whether the form shows it only when asked for more.
    """
    extra = {
        "unit": unit,
        "widget": limits.pop("widget", ""),
        "example": limits.pop("example", None),
        "rare": limits.pop("rare", False),
    }
    return Field(default, title=label, description=tooltip, json_schema_extra=extra, **limits)


def make_params(cls: type[P], values: Mapping[str, Any], where: str) -> P:
    """Build `cls` from plain values, turning every fault into one sentence that names `where`."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {values!r}, expected a table of parameters.")
    try:
        return cls(**values)
    except ValidationError as error:
        raise InputError(_first_fault(cls, error, where)) from None


def _what_it_is(cls: type[Params], name: str) -> str:
    """Return what a parameter is for, and what it may look like."""
    info = cls.model_fields.get(name)
    if info is None or not info.description:
        return ", it must be given"
    extra: Any = info.json_schema_extra or {}
    such = f", such as {name} = {extra['example']}" if extra.get("example") else ""
    return f": {info.description[0].lower()}{info.description[1:].rstrip('.')}{such}"


def _first_fault(cls: type[Params], error: ValidationError, where: str) -> str:
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"]) or "the parameters"
    if fault["type"] == "extra_forbidden":
        known = ", ".join(cls.model_fields) or "none"
        return f"{where}: unknown parameter '{name}'; it takes {known}."
    if fault["type"] == "missing":
        return f"{where}: '{name}' is missing{_what_it_is(cls, name)}."
    return f"{where}: '{name}' is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}."
