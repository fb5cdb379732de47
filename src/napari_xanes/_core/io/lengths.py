"""Units of length, in micrometres."""

from __future__ import annotations

LENGTHS = {
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "m": 1e6,
}
LENGTHS |= {
    "micrometre": 1.0,
    "micrometers": 1.0,
    "micrometres": 1.0,
    "meter": 1e6,
    "metre": 1e6,
    "meters": 1e6,
}
LENGTHS |= {"nanometer": 1e-3, "millimeter": 1e3, "angstrom": 1e-4}
