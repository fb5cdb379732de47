"""Numbers are written as short as they are."""

import pytest

from napari_xanes._widgets.parts.number_box import NumberBox


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.05, "0.05"), (8222.97, "8222.97"), (-0.00001, "0"), (1200, "1200")]
)
def test_no_zeros_stand_behind_the_last_digit(value, text, qtbot):
    box = NumberBox()
    qtbot.addWidget(box)
    box.setRange(-1e9, 1e9)
    box.setDecimals(4)
    box.setValue(value)
    assert box.text() == text and box.value() == pytest.approx(value, abs=5e-5)
    box.interpretText()
    assert box.value() == pytest.approx(value, abs=5e-5), "what is shown is read as it is"
