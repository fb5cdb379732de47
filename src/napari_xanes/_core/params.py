"""What a step's parameters are: one frozen class a step, declared beside the step.

Default, range, label, unit and tooltip of a parameter stand once, in its `field`; the form in the
window, the recipe file and the command line's template are all made from there.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_xanes._core.errors import InputError

Window = tuple[float, float]
Roi = tuple[int, int, int, int]
"""An energy window (lo, hi) in eV; it holds every energy lo <= E <= hi."""


class Params(BaseModel):
    """Base of the parameters of a step: immutable, no unknown keys; None means "choose for me"."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


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
        for the form ("references", "window", "roi", ...), and ``example``, shown in the recipe template where
        there is no default; and ``rare``, whether the form shows it only when asked for more.
    """
    extra = {
        "unit": unit,
        "widget": limits.pop("widget", ""),
        "example": limits.pop("example", None),
        "rare": limits.pop("rare", False),
    }
    return Field(default, title=label, description=tooltip, json_schema_extra=extra, **limits)


def make_params(cls: type[Params], values: dict[str, Any], where: str) -> Params:
    """Build `cls` from plain values, turning every fault into one sentence that names `where`."""
    if not isinstance(values, dict):
        raise InputError(f"{where} is {values!r}, expected a table of parameters.")
    try:
        return cls(**values)
    except ValidationError as error:
        raise InputError(_first_fault(cls, error, where)) from None


def _first_fault(cls: type[Params], error: ValidationError, where: str) -> str:
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"]) or "the parameters"
    if fault["type"] == "extra_forbidden":
        known = ", ".join(cls.model_fields) or "none"
        return f"{where}: unknown parameter '{name}'; it takes {known}."
    if fault["type"] == "missing":
        return f"{where}: '{name}' is missing, it must be given."
    return f"{where}: '{name}' is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}."
