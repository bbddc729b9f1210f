"""One model, one batch: sampling under a grammar, likelihoods, rankings.

`types` defines what a sampler takes and returns, `request_grammar` the automaton of a request.
`samplers` chooses among `wyckoff_sampler` and `coordinate_sampler`, which sample batches from a
model of the crystal vocabulary, and `any_tokenizer_sampler`, which samples from any other.
`fast_llama` runs the network fast on short texts, `categorical` picks a token, and `guidance` mixes
the logits behind two prompts. `likelihood` scores crystals, `element_ranking` reads off how
probable each element is.
"""
