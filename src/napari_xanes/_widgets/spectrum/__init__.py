"""The spectrum dock."""
