"""From counts to optical density, and what some scans need besides."""
