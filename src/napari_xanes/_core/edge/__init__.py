"""The absorption edge: found, and spectra normalised to it."""
