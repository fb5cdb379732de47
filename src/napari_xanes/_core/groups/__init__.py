"""Pixels with like spectra: clusters, components, mean spectra."""
