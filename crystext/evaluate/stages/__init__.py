"""Stages of an evaluation, one a file: `base` is their interface, `registry` lists them."""
