"""The panels of the steps."""
