"""Recipes: the table of steps, what was done, and the same as a script."""
