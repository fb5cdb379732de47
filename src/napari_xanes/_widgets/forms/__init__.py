"""Forms made from Params classes."""
