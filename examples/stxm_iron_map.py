"""An iron map from a measured STXM stack that came with a beam spectrum (I0) instead of flats.

The scan is of hydrothermal plume particles at the Fe L edge (ALS beamline 11.0.2.2, B. Toner and
M. Marcus; MIT licence, https://github.com/stetef/nano-XANES-microscopy-of-Fe).

    python examples/stxm_iron_map.py FOLDER [PICTURE.png]

FOLDER holds stack_transmission.tif, energy_eV.txt and i0_counts.txt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import napari_xanes as nx

RECIPE = {
    "schema": 1,
    "step": [
        {"do": "flat_field"},  # divides by I0
        {"do": "optical_density"},
        {"do": "align"},
        {"do": "normalize", "pre_edge": [700, 704], "post_edge": [728, 730.4], "slope": "shared"},
    ],
    "output": {"stack": True},
}


def iron_map(folder: Path) -> tuple[nx.Result, np.ndarray]:
    """Return the result and the mean normalised spectrum of the 5 % of pixels with most iron."""
    scan = nx.read_stack(
        folder / "stack_transmission.tif",
        energy=folder / "energy_eV.txt",
        flat=folder / "i0_counts.txt",
        pixel_size_um=0.08,
    )
    result = nx.run_recipe(nx.Recipe.from_dict(RECIPE), scan)
    step = result.maps["edge_step"]
    rich = step >= np.nanpercentile(step, 95)
    return result, np.nanmean(result.stack.data[:, rich], axis=1)


def draw(result: nx.Result, spectrum: np.ndarray, picture: Path) -> None:
    """Draw the map and the spectrum side by side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    step = result.maps["edge_step"]
    size = result.pixel_size_um
    extent = (0, step.shape[1] * size, step.shape[0] * size, 0)
    shown = left.imshow(step, cmap="magma", extent=extent, vmin=0, vmax=np.nanpercentile(step, 99.5))
    left.set(title="Iron (edge step, optical density)", xlabel="x (um)", ylabel="y (um)")
    figure.colorbar(shown, ax=left)
    right.plot(result.energy, spectrum, color="tab:red")
    for energy in (708.05, 709.46, 721.07):
        right.axvline(energy, color="0.7", lw=0.8, ls="--")
    right.set(
        title="Fe L$_{3,2}$ of the richest 5 %", xlabel="photon energy (eV)", ylabel="normalised absorption"
    )
    right.margins(x=0)
    figure.get_layout_engine().set(w_pad=0.1)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "stxm_iron_map.png")
    draw(*iron_map(Path(sys.argv[1])), target)
    print(f"written: {target}")
