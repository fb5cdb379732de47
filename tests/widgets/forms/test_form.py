"""The form gives back what it was given, shows what was chosen, and names what cannot be."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QLineEdit, QPushButton

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.forms.editors import AutoEditor, _shorter
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.forms.library import refusals_in, spectra_in
from napari_xanes._widgets.forms.list_editors import FilesEditor


class AllKinds(Params):
    """One parameter of every kind that a step may have."""

    pre_edge: Window | None = field(None, "Pre-edge", "Energies before the edge.", unit="eV")
    e0: float | None = field(None, "Edge energy", "Where the edge is.", unit="eV", gt=0)
    slope: Literal["pixel", "shared"] = field("pixel", "Slope", "Of each pixel or of all.")
    method: Literal["direct", "admm"] | None = field(None, "Solver", "How.")
    rounds: int = field(100, "Rounds", "How often.", ge=1, le=1000)
    rho: float = field(0.5, "Rho", "How strongly.", gt=0)
    show: bool = field(True, "Show", "Whether.")
    reference: int | Literal["previous", "mean"] = field(-1, "Reference", "What frames are aligned to.")
    roi: tuple[int, int, int, int] | None = field(None, "Region", "Where.", unit="px", widget="roi")
    background: tuple[int, ...] = field((), "Background", "Orders of a polynomial.", widget="background")
    exclude: tuple[Window, ...] = field((), "Leave out", "Windows.", unit="eV")
    references: tuple[str, ...] = field((), "References", "Files.", widget="references")
    note: str | None = field(None, "Note", "Any text.")
    names: tuple[str, ...] = field((), "Names", "Some. Empty: all.")
    beyond: Literal["hold"] | None = field(None, "Beyond", "The one way.")
    frames: tuple[int, ...] = field((), "Frames", "Numbers of some.")
    shifts: tuple[float, ...] = field((), "Shifts", "Of each.", unit="eV", rare=True)


EXAMPLES = [
    AllKinds(),
    AllKinds(
        pre_edge=(8222.123456789, 8312.0),
        e0=8333.000123,
        slope="shared",
        method="admm",
        rounds=7,
        rho=0.123456789,
        show=False,
        reference="previous",
        roi=(3, 40, 0, 1999),
        background=(0, 1),
        exclude=((8330.25, 8340.0), (8350.0, 8351.5)),
        references=("/a/ref NiO.txt", "/b/ref_LiNiO2.txt"),
        note="second try",
        names=("NiO", "LiNiO2"),
        beyond="hold",
        frames=(0, 17),
        shifts=(-0.123456789, 0.0, 2.0),
    ),
    AllKinds(reference=17, background=(0, 3)),
    AllKinds(reference=-5),
]


@pytest.fixture
def form(qtbot):
    widget = ParamsForm(AllKinds, "Everything")
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("params", EXAMPLES)
def test_parameters_come_back_to_the_last_bit(form, params):
    form.set(params)
    assert form.params() == params


def test_a_new_form_holds_the_defaults(form):
    assert form.params() == AllKinds()


def test_what_automatic_chose_is_shown_and_stays_automatic(form):
    form.show_chosen({"e0": 8333.256789, "pre_edge": [8222.0, 8312.5]})
    assert form.editors["e0"].chosen.text() == "8333.26"
    assert form.editors["pre_edge"].chosen.text() == "8222 to 8312.5"
    assert form.params() == AllKinds()
    form.editors["e0"].auto.setChecked(False)
    assert form.params().e0 == 8333.256789


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        ("8222.25 to 8312.5", "8222 to 8312"),
        ("0.04 px 0.012345 um", "0.04 px 0.0123 um"),
        ("-0.04, 12.34, 0.0012", "-0.04, 12.3, 0.0012"),
        ("999.97 to 1000.04", "999.97 to 1000"),
        ("8341.21 to 8341.42", "8341.2 to 8341.4"),
        ("LiNi0.8O2 and LiFePO4", "LiNi0.8O2 and LiFePO4"),
    ],
)
def test_long_texts_lose_digits_but_no_number_becomes_zero_or_another(whole, short):
    assert _shorter(whole) == short


def test_a_frame_counted_from_the_end_is_told_so(form):
    form.set(AllKinds(reference=-5))
    assert form.editors["reference"].choice.combo.currentText() == "frame no. 5 from the end"


def test_what_the_user_typed_is_kept(form):
    form.set(AllKinds(e0=8340.5))
    form.show_chosen({"e0": 8333.0})
    assert form.params().e0 == 8340.5


def test_choices_can_be_forgotten(form):
    form.show_chosen({"e0": 8333.0})
    form.forget_chosen()
    assert form.editors["e0"].chosen.text() == ""


def test_editing_says_so(form, qtbot):
    with qtbot.waitSignal(form.changed):
        form.editors["slope"].combo.setCurrentText("shared")
    with qtbot.waitSignal(form.changed):
        form.editors["pre_edge"].auto.setChecked(False)
    form.editors["rho"].box.setValue(0.25)
    assert form.params().rho == 0.25


def test_a_value_that_cannot_be_is_named(form):
    form.editors["exclude"].text.value = "8330-low"
    with pytest.raises(InputError, match=r"Everything: 'exclude.*low'"):
        form.params()


def test_files_are_listed_once_by_name_and_removed(qtbot):
    editor = FilesEditor()
    qtbot.addWidget(editor)
    editor.add(["/a/NiO.txt", "/b/LiNiO2.txt", "/a/NiO.txt"])
    assert editor.value() == ("/a/NiO.txt", "/b/LiNiO2.txt")
    assert editor.list.item(1).text() == "LiNiO2.txt"
    editor.list.setCurrentRow(0)
    next(one for one in editor.findChildren(QPushButton) if one.text() == "Remove").click()
    assert editor.value() == ("/b/LiNiO2.txt",)


def test_a_part_of_a_file_is_named_behind_it(qtbot, tmp_path):
    energy = np.linspace(8250, 8550, 61)
    beam = np.full(61, 1e5)
    mu = 0.2 + 1 / (1 + np.exp(-(energy - 8333) / 2))
    np.savetxt(tmp_path / "a.dat", np.stack([energy, beam, beam * np.exp(-mu)], 1), header="energy mcs1 mcs2")
    editor = FilesEditor()
    qtbot.addWidget(editor)
    editor.changed.connect(lambda: editor.say(refusals_in(editor.value())))
    editor.add([str(tmp_path / "a.dat")])
    assert "as in a.dat:ln(mcs1/mcs2). Double-click the file to do so." in editor.words.text()
    editor.list.item(0).setText("a.dat:ln(mcs1/mcs2)")  # as the line editor of a double click does
    assert editor.value() == (f"{tmp_path}/a.dat:ln(mcs1/mcs2)",) and editor.words.isHidden()
    np.testing.assert_allclose(spectra_in(editor.value())[0].mu, mu, rtol=1e-6)
    editor.list.item(0).setText("b.dat")
    assert editor.list.item(0).text() == "a.dat:ln(mcs1/mcs2)", "the file itself stays"
    editor.set_value(editor.value())
    assert editor.list.item(0).text() == "a.dat:ln(mcs1/mcs2)"


def test_labels_units_tooltips_and_limits_come_from_the_parameters(form):
    text = {label.text(): label.toolTip() for label in form.findChildren(QLabel)}
    assert "Energies before the edge." in text["Pre-edge (eV)"]
    rounds = form.editors["rounds"].box
    assert (rounds.minimum(), rounds.maximum()) == (1, 1000)
    optional = {name for name, editor in form.editors.items() if isinstance(editor, AutoEditor)}
    assert optional == {"pre_edge", "e0", "method", "roi"}


def test_rare_parameters_are_shown_when_asked_for(form, qtbot):
    form.show()
    shifts, frames = form.editors["shifts"], form.editors["frames"]
    assert frames.isVisible() and not shifts.isVisible()
    form.more.click()
    assert frames.isVisible() and shifts.isVisible() and "More" in form.more.text()
    form.more.click()
    assert not shifts.isVisible()


def test_what_is_no_number_in_a_list_is_named(form):
    form.editors["shifts"].text.value = "0.1, much"
    with pytest.raises(InputError, match=r"Everything: 'shifts.*much'"):
        form.params()


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_a_form(name, qtbot):
    cls = STEPS[name].params
    form = ParamsForm(cls, name)
    qtbot.addWidget(form)
    required = {key: ("a",) for key, info in cls.model_fields.items() if info.is_required() and "ref" in key}
    if all(key in required for key, info in cls.model_fields.items() if info.is_required()):
        params = cls(**required)
        form.set(params)
        assert form.params() == params


def test_a_short_list_takes_no_more_room_in_a_tall_dock(qtbot):
    form = ParamsForm(STEPS["fit"].params)
    qtbot.addWidget(form)
    form.offer("spectra", ["NiO", "Ni"])
    form.resize(320, 2000)
    form.show()
    editor = form.editors["names"]
    assert editor.list.isVisible() and editor.height() < 2 * editor.list.height()


def test_hidden_parameters_keep_their_default(qtbot):
    form = ParamsForm(AllKinds, hidden=("rho", "rounds"))
    qtbot.addWidget(form)
    assert "rho" not in form.editors
    assert form.params() == AllKinds()


def test_the_wheel_scrolls_past_numbers(form):
    number = form.editors["rounds"].box
    event = QEvent(QEvent.Type.Wheel)
    assert form.editors["rounds"].eventFilter(number, event)
    assert not event.isAccepted()
    QApplication.processEvents()
    assert form.params().rounds == 100


def test_files_are_chosen_and_names_of_maps_are_words(qtbot, monkeypatch, tmp_path):
    form = ParamsForm(STEPS["mask"].params)
    qtbot.addWidget(form)
    editor = form.editors["file"]
    assert not editor.findChildren(QLineEdit), "nothing to type a path into"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "mask.tif"), ""))
    qtbot.mouseClick(editor.choose, Qt.MouseButton.LeftButton)
    assert form.values()["file"] == str(tmp_path / "mask.tif") and editor.name.text() == "mask.tif"
    qtbot.mouseClick(editor.clear, Qt.MouseButton.LeftButton)
    assert form.values()["file"] is None and editor.name.text() == "none"
    particles = ParamsForm(STEPS["particles"].params)
    qtbot.addWidget(particles)
    particles.offer("maps", ["edge_step", "fraction_NiO"])
    names = particles.editors["maps"]
    assert [names.list.item(k).text() for k in range(2)] == ["edge step", "NiO fraction"]
    names.list.item(1).setCheckState(Qt.CheckState.Checked)
    assert names.value() in (("fraction_NiO",), ("edge_step", "fraction_NiO"), ())
    names.set_value(("edge_step",))
    assert names.value() == ("edge_step",)
