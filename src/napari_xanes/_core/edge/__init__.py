"""The absorption edge, and spectra normalised to it."""
