"""How the files of a recipe are read; apart from the steps, so that a look into a file loads none of them."""

from __future__ import annotations

from typing import Literal

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.params import field as param


class InputParams(Params):
    """How the files are read: the keywords of `read_stack`."""

    images: str | None = param(
        None,
        "Images",
        "Dataset inside the HDF5 file that holds the images. Empty: detected automatically.",
        example="exchange/data",
    )
    energy: str | tuple[float, ...] | None = param(
        None,
        "Energies",
        "Dataset, text file, start:stop:step, or a list of numbers, one an image. Empty: detected automatically.",
        example="energies.txt",
    )
    flat: str | None = param(
        None,
        "Flats",
        "Dataset or file with images without sample, or a text file with the beam spectrum (I0). Empty: detected automatically.",
        example="flat.tif",
    )
    dark: str | None = param(
        None,
        "Darks",
        "Dataset or file with images without beam. Empty: detected automatically.",
        example="dark.tif",
    )
    energy_unit: Literal["eV", "keV"] | None = param(
        None, "Energy unit", "Unit of the energies in the file. Empty: told from the numbers.", example="keV"
    )
    signal: Literal["counts", "transmission", "optical_density", "normalized"] | None = param(
        None, "Signal", "What the values are. Empty: told from the numbers.", example="counts"
    )
    complex_as: Literal["optical_density", "phase"] | None = param(
        None,
        "Complex images",
        "What is taken of complex images, as of ptychography: -2 ln of their amplitude, which is optical density, or "
        "their phase. Empty: images are real numbers.",
        example="optical_density",
    )
    pixel_size_um: float | None = param(
        None, "Pixel size", "Size of a pixel. Empty: as the file says.", unit="um", gt=0, example=0.02
    )
    axis: str | None = param(
        None,
        "Order of axes",
        "Which axis of the images in the file is energy, counted from 0, or a letter for each axis such as yxe. "
        "Empty: as the file declares, else the only one that fits the energies.",
        example="yxe",
    )
