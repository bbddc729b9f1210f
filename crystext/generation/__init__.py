"""From a model to attempts at crystals, written down as they come.

What is asked: `asking` turns conditions into a request, `attempt` says what is asked of a sampler
and what comes of it, `writing` what it has a model write.

Drawing: `samplers` chooses among `symmetric_sampler` and `slot_sampler`, which draw batches from a
model of the small vocabulary, by symmetry and atom by atom, and `text_sampler`, which draws from
any other. `llama` runs the network fast on short texts, `draw` picks a token, `guidance` mixes the
logits behind two prompts. `tries` judges what was drawn and draws again. `ranking` draws nothing:
it reads off how probable each element is.

Runs: `campaign` says what is wanted, in which batches; `run` keeps the attempts in a folder that
survives a kill; `crew` says how many processes draw them, `workers` are these processes, `shards`
batches that other machines drew; `tally` counts what was kept of what was asked.
"""
