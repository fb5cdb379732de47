"""Spectra as sums of references."""
