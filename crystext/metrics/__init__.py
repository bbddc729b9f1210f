"""Metrics of generated crystals: one a file, each with its formula and its source.

Functions take crystals and return a value of each one, or one number. `base.Metric` describes a
function for reports (title, unit, source), and `registry.METRICS` lists these by name. Rates over
all samples, failures included, are `intervals.Proportion`.
"""
