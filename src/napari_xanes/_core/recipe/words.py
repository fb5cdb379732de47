"""Each step in words: its title, and what it does in half a sentence, for lists and for comments in scripts."""

from __future__ import annotations

STEP_WORDS: dict[str, tuple[str, str]] = {
    "flat_field": ("Flat field", "divide by the beam, from counts to transmission"),
    "internal_i0": ("Beam from an empty region", "correct the brightness by a region without sample"),
    "bad_pixels": ("Bad pixels", "find hot, dead and flashing pixels"),
    "optical_density": ("Optical density", "-ln of the transmission"),
    "shift_energy": ("Energy shift", "correct the energy scale"),
    "merge_energies": ("Merge energies", "make one frame of frames at the same energy"),
    "drop_energies": ("Leave frames out", "make frames invalid that later steps are not to use"),
    "crop": ("Crop", "keep a region and a range of energies"),
    "bin": ("Bin", "make neighbouring pixels one"),
    "denoise": ("Denoise", "smooth every frame"),
    "align": ("Align", "measure the drift of the sample and take it back"),
    "normalize": ("Normalise", "take the pre-edge off and divide by the edge step"),
    "peak": ("Peak", "find the highest point of every spectrum"),
    "edge_position": ("Edge energy", "find the energy of the edge in every pixel"),
    "white_line": ("White line", "measure the white line in every pixel"),
    "cluster": ("Clusters", "group pixels by their spectra"),
    "decompose": ("Components", "write all spectra as sums of a few"),
    "shift_map": ("Energy-shift map", "find by how much spectra are shifted against the references"),
    "rank": ("Rank references", "find which references explain the spectra"),
    "mask": ("Mask", "keep the pixels within limits"),
    "fit": ("Fit", "write every spectrum as a sum of references"),
    "residual": ("Residual", "look for what the references leave over"),
    "particles": ("Particles", "part the mask into particles and measure them"),
}


def step_title(name: str) -> str:
    """Return the name of a step in the user's words."""
    return STEP_WORDS[name][0]
