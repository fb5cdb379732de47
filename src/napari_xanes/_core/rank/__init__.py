"""Which references the data ask for."""
