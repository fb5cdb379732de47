"""Colours, legends and figures."""
