"""From a model to attempts at crystals, written down as they come.

`asking` turns conditions into a request. `draw` picks a token, `guidance` mixes the logits behind
two prompts, `llama` runs the network fast on short texts, `slot_sampler` draws batches from a model
of the small vocabulary, `text_sampler` from any other. `tries` judges what was drawn and draws
again; `campaign` says what is wanted, in which batches; `run` keeps the attempts in a folder that
survives a kill.
"""
