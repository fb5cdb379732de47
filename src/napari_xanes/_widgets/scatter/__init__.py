"""The scatter plot of two maps."""
