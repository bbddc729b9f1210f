"""From a model to attempts at crystals, written down as they come.

`draw` picks a token, `llama` runs the network fast on short texts, `slot_sampler` draws batches
from a model of the small vocabulary, `text_sampler` from any other, and `run` keeps the attempts of
a campaign in a folder that survives a kill.
"""
