"""Warnings of a step in the words of its form, with buttons for the values that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import make_params
from napari_xanes._core.data.history import History
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.parts.advice import Told, Way
from napari_xanes._widgets.parts.spoken import choice_text, spoken

NAMED = re.compile(r"\b([a-z][a-z0-9_]*) ?= ?(?:'(\w+)'|(\d+(?:\.\d+)?))")
"""A parameter and the value that a sentence of the library advises."""


NOTE = "Note: "


def warnings_of(
    history: History,
    steps: Collection[str],
    forms: Mapping[str, ParamsForm],
    follow: Callable[[str, str, Any], None],
) -> list[Told]:
    """Return what steps warned of; `follow(step, name, value)` sets a parameter of a form and runs the step again."""
    told = []
    for entry in history:
        if entry.step in steps:
            form = forms.get(entry.step)
            for text in entry.warnings:
                ways = () if form is None else _ways(text, entry.step, form, entry.params, follow)
                told.append(Told(_sentence(text), ways))
    return told


def _sentence(text: str) -> str:
    sentence = spoken(text)
    return f"{NOTE}{sentence}{'' if sentence.endswith('.') else '.'}"


def _ways(
    text: str, step: str, form: ParamsForm, params: Mapping[str, Any], follow: Callable[[str, str, Any], None]
) -> tuple[Way, ...]:
    ways = {}
    for name, word, number in NAMED.findall(text):
        if name not in form.editors:
            continue
        value = word or _number(number)
        if params.get(name) == value or not _takes(form, params, name, value):
            continue
        label = str(form.cls.model_fields[name].title)
        title = f"{label}: {choice_text(value)}"
        ways[title] = Way(title, "Sets this and runs the step again.", partial(follow, step, name, value))
    return tuple(ways.values())


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and "." not in text else value


def _takes(form: ParamsForm, params: Mapping[str, Any], name: str, value: Any) -> bool:
    try:
        make_params(form.cls, {**params, name: value}, form.title)
    except InputError:
        return False
    return True
