"""What generated crystals are worth: one metric a file, each with its formula and its source.

A metric takes crystals and says something of each one. Shares are made of these by whoever knows
how many attempts there were: see `share`.
"""
