"""What the window says is in the words of its forms, not in those of scripts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from qtpy.QtWidgets import QComboBox, QLabel

from napari_xanes._core import io
from napari_xanes._core.io.describe import OPTIONS, in_options
from napari_xanes._core.recipe.input_params import InputParams
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.parts import notices
from napari_xanes._widgets.parts.spoken import column_text, spoken


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "a.h5: the energies could be those of b; say which with energy=.",
            "a.h5: the energies could be those of b; say which under Energies.",
        ),
        ("set least = 0 to move them by as much", "set Smallest drift: 0 to move them by as much"),
        (
            "axes 0 and 2 of s are as long as the 9 energies; say axis=0 or axis=2.",
            "axes 0 and 2 of s are as long as the 9 energies; choose which under Order of axes.",
        ),
        (
            "region 1 was opened; another is chosen with images='region 2'",
            "region 1 was opened; another is chosen under Images: 'region 2'",
        ),
        (
            "Normalise: 'e0' is 0.0: input should be greater than 0.",
            "Normalise: Edge energy is 0.0: input should be greater than 0.",
        ),
        ("bend; divide_by = 'step' does not", "bend; Divide by: step does not"),
        ("set post_order = 1 for a line", "set Post-edge order: 1 for a line"),
        ("'nonnegative' allows no negative amount", "'non-negative' allows no negative amount"),
        (
            "/entry/pre_edge.txt and my_scan_1.h5 stay as they are",
            "/entry/pre_edge.txt and my_scan_1.h5 stay as they are",
        ),
    ],
)
def test_sentences_are_in_the_words_of_the_forms(said, shown):
    assert spoken(said) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("fraction_NiO", "NiO fraction"),
        ("fraction_NiO_std", "NiO fraction, standard deviation"),
        ("fraction_NiO_se", "NiO fraction, standard error"),
        ("error_invalid", "fit error, invalid pixels"),
        ("r_factor_std", "R-factor, standard deviation"),
        ("area_um2", "area (µm²)"),
        ("made_invalid", "made invalid"),
    ],
)
def test_columns_are_called_what_the_map_is_that_they_are_of(name, shown):
    assert column_text(name) == shown


def sentences_of_the_readers():
    """Return every text of the modules that read files which names a keyword of `read_stack`, its gaps filled."""
    keyword = re.compile(rf"(?<![\w.])({'|'.join(InputParams.model_fields)})=")
    found = {}
    for path in sorted(Path(io.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text())
        docs = {id(node.body[0].value) for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list)
                and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
        inner = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if id(node) in docs | inner or not isinstance(node, (ast.JoinedStr, ast.Constant)):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in parts)
            if keyword.search(text):
                found[f"{path.name}:{node.lineno}"] = text
    return found


def test_no_sentence_of_a_reader_has_a_keyword_where_there_is_none():
    said = sentences_of_the_readers()
    assert len(said) > 30
    names = "|".join(InputParams.model_fields)
    for where, text in said.items():
        for words in (spoken(text), in_options(text)):
            assert not re.search(rf"\b({names})=", words), (where, words)
        assert any(option in in_options(text) for option in OPTIONS.values()), where
        assert any(str(field.title) in spoken(text) for field in InputParams.model_fields.values()), where


@pytest.mark.parametrize("step", STEPS)
def test_no_label_tooltip_or_choice_of_a_form_has_a_name_of_a_script(step, qtbot):
    form = ParamsForm(STEPS[step].params, step, (), step=step)
    qtbot.addWidget(form)
    texts = [part for label in form.findChildren(QLabel) for part in (label.text(), label.toolTip())]
    texts += [box.itemText(i) for box in form.findChildren(QComboBox) for i in range(box.count())]
    known = {name for one in STEPS.values() for name in one.params.model_fields if "_" in name}
    for text in texts:
        assert not known & set(re.findall(r"\w+", text)), text
        assert not re.search(r"'[a-z]+_\w+'", text), text


def test_an_error_of_a_run_names_the_fields_of_the_form(workflow, viewer, density, qtbot, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(notices, "show_error", shown.append)
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    last = float(density.energy[-1])
    panel.forms["normalize"].editors["pre_edge"].set_value((last - 30, last))
    panel.runner.run.click()
    qtbot.waitUntil(lambda: bool(shown), timeout=20_000)
    assert "pre_edge" not in shown[0] and "post_edge" not in shown[0] and "e0" not in shown[0]


def test_the_history_is_in_the_words_of_the_forms(fitted):
    text = fitted.results.text.toPlainText().partition("\n")[2]  # after the name of the file
    assert "Edge energy: " in text and "Constraint: " in text and "e0" not in text
    assert not re.findall(r"\b[a-z]+_[a-z]\w*", text.replace("Ni_oxidised", "").replace("Ni_reduced", ""))
