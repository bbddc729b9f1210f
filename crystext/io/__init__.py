"""Files of crystals: reading any format, writing and drawing."""
