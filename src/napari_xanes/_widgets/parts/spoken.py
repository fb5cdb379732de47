"""Sentences of the library in the words of the forms: what a script calls `pre_edge` is labelled otherwise here."""

from __future__ import annotations

import re
from functools import cache

from napari_xanes._core.base.params import Params
from napari_xanes._core.data.kinds import KINDS, title_of, told_by_name
from napari_xanes._core.recipe.input_params import InputParams
from napari_xanes._core.recipe.steps import STEPS

CHOICES = {
    "nonnegative": "non-negative",
    "nonnegative_sum_to_one": "non-negative, sum to one",
    "f_test": "F-test",
    "aic": "AIC",
    "pca": "PCA",
    "nmf": "NMF",
    "admm": "ADMM",
    "lanczos": "Lanczos",
    "stackreg": "StackReg",
    "victoreen": "Victoreen",
    "pixel": "per pixel",
    "nonlocal_means": "non-local means",
}
"""What choices are called where their names alone are not what people say."""

_VALUE = r"(?=[\w'\"</])"
_START, _END = r"(?<![\w/.'\"-])", r"(?![\w/'\"(-]|\.\w)"


UNITS = (("_um2", "µm²"), ("_um3", "µm³"), ("_um", "µm"), ("_px", "px"), ("_ev", "eV"))
"""What the end of a column's name says of its unit."""
STATISTICS = (("_std", "standard deviation"), ("_se", "standard error"), ("_invalid", "invalid pixels"))
"""What the end of a column's name says of the values of the map before it."""


def column_text(name: str) -> str:
    """Return what a column or a number that was found is called, with its unit."""
    for end, unit in UNITS:
        if name.endswith(end):
            return f"{name.removesuffix(end).replace('_', ' ')} ({unit})"
    for end, words in STATISTICS:
        of = name.removesuffix(end)
        if of != name and told_by_name(of)[0] in KINDS:
            return f"{title_of(of)}, {words}"
    return title_of(name)


def choice_text(word: object) -> str:
    """Return what a choice is called."""
    return CHOICES.get(str(word), str(word).replace("_", " "))


@cache
def _labels() -> dict[str, str]:
    """Return the labels of all parameters by their names; the first step that has one names it."""
    known: dict[str, str] = {}
    classes: list[type[Params]] = [InputParams, *(step.params for step in STEPS.values())]
    for params in classes:
        for name, info in params.model_fields.items():
            known.setdefault(name, info.title or name.replace("_", " "))
    return known


def label_of(step: str, name: str) -> str:
    """Return what a parameter of a step is called in its form."""
    fields = STEPS[step].params.model_fields if step in STEPS else {}
    return (fields[name].title if name in fields else None) or name.replace("_", " ")


def spoken(sentence: str) -> str:
    """Return a sentence with names of parameters and choices as the forms show them."""
    labels = _labels()
    names = "|".join(sorted(map(re.escape, labels), key=len, reverse=True))
    sentence = re.sub(r"(?<=\d) um\b", " µm", sentence)
    sentence = re.sub(r"\bsay axis=\d( or axis=\d)+", f"choose which under {labels['axis']}", sentence)
    sentence = re.sub(rf"\b(?:with|by) ({names})={_VALUE}", lambda m: f"under {labels[m[1]]}: ", sentence)
    sentence = re.sub(rf"\b(?:with|by) ({names})=", lambda m: f"under {labels[m[1]]}", sentence)
    sentence = re.sub(
        rf"{_START}({names})\s?=\s?(?:'(\w+)'|(\d+)\b)",
        lambda m: f"{labels[m[1]]}: {choice_text(m[2] or m[3])}",
        sentence,
    )
    sentence = re.sub(rf"{_START}({names})={_VALUE}", lambda m: f"{labels[m[1]]}: ", sentence)
    sentence = re.sub(rf"{_START}({names})=", lambda m: labels[m[1]], sentence)
    sentence = re.sub(rf"'({names})' is", lambda m: f"{labels[m[1]]} is", sentence)
    coded = "|".join(name for name in labels if "_" in name or any(c.isdigit() for c in name))
    sentence = re.sub(rf"{_START}({coded}){_END}", lambda m: labels[m[1]], sentence)
    return re.sub(
        r"'([a-z0-9]+(?:_[a-z0-9]+)*)'",
        lambda m: f"'{choice_text(m[1])}'" if "_" in m[1] or m[1] in CHOICES else m[0],
        sentence,
    )
