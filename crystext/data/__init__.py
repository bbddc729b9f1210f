"""Prepares data sets: from any source of crystals to a store that training reads."""
