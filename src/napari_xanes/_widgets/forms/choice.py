"""Which editor a parameter gets, by its type and the hints of its `field`."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from magicgui import widgets
from pydantic.fields import FieldInfo

from napari_xanes._core.recipe.edited import BACKGROUNDS
from napari_xanes._widgets.forms.editors import (
    LARGEST,
    AutoEditor,
    ChoiceEditor,
    Editor,
    FrameEditor,
    MagicEditor,
    NumberEditor,
    SeveralEditor,
)
from napari_xanes._widgets.forms.list_editors import (
    FileEditor,
    FilesEditor,
    NameEditor,
    NamesEditor,
    NumbersEditor,
    WindowsEditor,
)
from napari_xanes._widgets.parts.spoken import choice_text

SPECTRA, MAPS = "spectra", "maps"
NAME_HINTS = (SPECTRA, MAPS)
"""Hints of names that are chosen from lists: spectra of the reference files, maps that earlier steps made."""


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """Return the hints of a parameter: unit, widget, rare."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def make_editor(info: FieldInfo) -> Editor:
    """Return the editor for a parameter, by its type and its hint."""
    members = _members(info.annotation)
    optional = NoneType in members
    members = [m for m in members if m is not NoneType]
    editor = _editor_of(members, info)
    says_none = (
        members == [str]
        or isinstance(editor, NameEditor | FileEditor)
        or (isinstance(editor, ChoiceEditor) and None in editor.names)
    )
    return AutoEditor(editor) if optional and not says_none else editor


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [m for member in get_args(annotation) for m in _members(member)]
    return [annotation]


def _editor_of(members: list[Any], info: FieldInfo) -> Editor:
    hint, unit = extra_of(info).get("widget", ""), extra_of(info).get("unit", "")
    words = [word for m in members if get_origin(m) is Literal for word in get_args(m)]
    if words and int in members:
        return FrameEditor(words)
    if words:
        names = {word: choice_text(word) for word in words}
        if len(words) == 1 and NoneType in _members(info.annotation):
            names = {None: "no", **names}  # the word or nothing; there is no choosing for the user
        return ChoiceEditor(names)
    kind = members[0]
    if kind is bool:
        return MagicEditor(widgets.CheckBox(text=""))
    if kind is str and hint in NAME_HINTS:
        return NameEditor("automatic" if NoneType in _members(info.annotation) else "none chosen")
    if kind is str and hint == "file":
        return FileEditor()
    if kind is str:
        return MagicEditor(widgets.LineEdit())
    if kind in (int, float):
        return NumberEditor(kind is int, *_limits(info), unit)
    if get_origin(kind) is tuple:
        if get_args(kind) == (str, ...) and hint in NAME_HINTS:
            every = "Empty: all" in str(info.description)
            return NamesEditor("all" if every else "none", all_is_none=every, words=hint == MAPS)
        return _tuple_editor(get_args(kind), hint, unit)
    raise TypeError(f"there is no editor for {info.title!r} of type {info.annotation}")


def _tuple_editor(items: tuple[Any, ...], hint: str, unit: str) -> Editor:
    if items == (str, ...):
        return FilesEditor()
    if items == (int, ...) and hint == "background":
        return ChoiceEditor(BACKGROUNDS)
    if len(items) == 2 and items[1] is Ellipsis:
        return NumbersEditor(items[0]) if items[0] in (int, float) else WindowsEditor()
    whole = items[0] is int
    parts = [NumberEditor(whole, 0 if whole else -LARGEST, LARGEST, unit) for _ in items]
    if hint == "roi" or len(items) == 4:
        return SeveralEditor(parts, ("y from", "to", "x from", "to"), 2)
    return SeveralEditor(parts, ("", *["to"] * (len(items) - 1)), len(items))


def _limits(info: FieldInfo) -> tuple[float, float]:
    low, high = -LARGEST, LARGEST
    for limit in info.metadata:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
    return low, high
