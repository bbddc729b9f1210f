"""Read crystals from files of any format, write them, and draw them."""
