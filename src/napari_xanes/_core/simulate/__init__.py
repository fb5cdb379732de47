"""Simulated scans with their truth."""
