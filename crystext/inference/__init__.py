"""One model, one batch: sampling under a grammar, likelihoods, rankings.

`types` defines what a sampler takes and returns, `request_grammar` the automaton of a request.
`generate` is the one call for texts of any model. It chooses between two samplers: `batch`, fast,
for models of the crystal vocabulary, whose formats `coordinate_reader` and `wyckoff_reader` read,
and `any_tokenizer_sampler` for any other. `fast_llama` runs the network fast on short texts,
`categorical` picks a token, and `guidance` mixes the logits behind two prompts. `likelihood` scores
crystals, `element_ranking` reads off how probable each element is.
"""
