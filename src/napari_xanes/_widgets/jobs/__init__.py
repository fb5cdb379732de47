"""Work in the background, previews, the choice of the stack."""
