"""Drift of the sample: found and taken back."""
