"""Maps mixed in colour, volumes, figures."""
