"""Looking at an alignment frame by frame."""
