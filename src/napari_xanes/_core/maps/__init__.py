"""Maps that need no references: peak, edge position, white line."""
