"""Layers to stacks and results, and back; masks, undo, words."""
