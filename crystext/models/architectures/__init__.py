"""Networks that a recipe can start from, one per file."""
