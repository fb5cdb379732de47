"""Constrained least squares with few unknowns for very many spectra."""
