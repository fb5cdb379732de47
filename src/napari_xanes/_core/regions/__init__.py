"""Masks and particles."""
