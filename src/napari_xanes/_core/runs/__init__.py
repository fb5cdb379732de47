"""Recipes run on scans, and results in files."""
