"""What travels: stacks, references, drifts, results, lazy arrays."""
