"""Stages of an evaluation, one a file; `base` says what a stage is, `registry` which there are."""
