"""A box for a number that is written as short as it is: 3, not 3.0000."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox


def short_text(value: float, decimals: int) -> str:
    """Return a number with so many decimals, without zeros at their end."""
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"  # of -0.0 this makes 0.0
    return text.rstrip("0").rstrip(".") if decimals > 0 else text


class NumberBox(QDoubleSpinBox):
    """A spin box without zeros behind the last digit."""

    def shown_decimals(self, value: float) -> int:
        """Return how many decimals of a number are shown at most."""
        return self.decimals()

    def textFromValue(self, value: float) -> str:
        """Return the number as it is shown, with the decimal point of the language."""
        text = short_text(value, self.shown_decimals(value))
        return text.replace(".", str(self.locale().decimalPoint()))
