"""How work runs over pixels: blocks, threads, and the chain of steps."""
