"""Corpora for the continued pretraining of language models: papers, text and crystals.

`crystext corpus build` tokenizes sources, mixes them by tokens and packs them; `packed` describes
and reads the result.
"""
