"""Networks that a recipe can start from, one a file."""
