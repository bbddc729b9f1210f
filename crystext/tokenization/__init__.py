"""Convert texts to token ids and back, with the crystal vocabulary or any other."""
