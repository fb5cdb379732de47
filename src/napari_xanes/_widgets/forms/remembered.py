"""What was typed into the forms of the steps, kept between sessions.

Kept are switches, choices and plain numbers that differ from their defaults, by step.  What belongs to one
scan or one element is never carried to another: not energies, windows and anything else in eV, files, names of
references and maps, pixel regions, frame numbers and lists of frames.  Whether anything is kept is a setting.

The file is json beside napari's own settings.  It is read anew each time, so that docks and windows add to it
one value at a time; a file that cannot be read or is of another version counts as empty.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.base.params import Params
from napari_xanes._widgets.forms.choice import extra_of
from napari_xanes._widgets.layers.settings import config_folder, settings

VERSION = 1
FILE_NAME = "napari-xanes-forms.json"
_log = logging.getLogger(__name__)
_told: set[str] = set()

Steps = dict[str, dict[str, Any]]


def recall(step: str, cls: type[Params]) -> dict[str, Any]:
    """Return the values kept for a step; those that the step does not take any more are dropped, and logged once."""
    good: dict[str, Any] = {}
    for name, value in _read().get(step, {}).items():
        value = tuple(value) if isinstance(value, list) else value
        info = cls.model_fields.get(name)
        if info is None or not lasts(info, value) or not _takes(cls, {**good, name: value}, name):
            _tell(f"{step}: the remembered {name} = {value!r} is not valid any more; the default is used.")
        else:
            good[name] = value
    return good


def remember(step: str, values: dict[str, Any], forgotten: Collection[str] = ()) -> None:
    """Keep values of a step beside those kept before, less those that are forgotten."""
    before = _read().get(step, {})
    after = {name: value for name, value in {**before, **values}.items() if name not in forgotten}
    if after != before:
        _write(step, after)


def forget(step: str) -> None:
    """Forget all values of a step."""
    remember(step, {}, _read().get(step, {}))


def lasts(info: FieldInfo, value: Any) -> bool:
    """Whether a value makes sense for the next scan, too."""
    extra = extra_of(info)
    if str(extra.get("unit", "")).startswith("eV"):
        return False
    if offered := _offered(info):
        return value in offered
    if extra.get("widget") == "background":
        return isinstance(value, tuple)
    return isinstance(value, bool | int | float)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _offered(info: FieldInfo) -> tuple[Any, ...]:
    """Return the words or numbers that a parameter offers; empty if any value can be typed."""
    return tuple(
        word for one in _members(info.annotation) if get_origin(one) is Literal for word in get_args(one)
    )


def _takes(cls: type[Params], values: dict[str, Any], name: str) -> bool:
    """Whether a step takes the value of `name`; parameters that are missing do not count."""
    try:
        cls.model_validate(values)
    except ValidationError as error:
        return all(fault["loc"] and fault["loc"][0] != name for fault in error.errors())
    return True


def _file() -> Path | None:
    folder = config_folder() if settings().remember else None
    return None if folder is None else folder / FILE_NAME


def _read() -> Steps:
    path = _file()
    if path is None:
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _tell(f"{path} cannot be read ({error}); forms start from their defaults.")
        return {}
    if (
        not isinstance(told, dict)
        or told.get("version") != VERSION
        or not isinstance(told.get("steps"), dict)
    ):
        _tell(f"{path} is not of version {VERSION}; forms start from their defaults.")
        return {}
    return {step: values for step, values in told["steps"].items() if isinstance(values, dict)}


def _write(step: str, values: dict[str, Any]) -> None:
    path = _file()
    if path is None:
        return
    steps = {name: kept for name, kept in {**_read(), step: values}.items() if kept}
    try:
        with whole_file(path) as part:
            part.write_text(json.dumps({"version": VERSION, "steps": steps}, indent=1), encoding="utf-8")
    except DataFileError as error:
        _tell(f"What was typed cannot be remembered: {error}")


def _tell(sentence: str) -> None:
    """Log a sentence the first time."""
    if sentence not in _told:
        _told.add(sentence)
        _log.info(sentence)
