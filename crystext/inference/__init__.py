"""Inference with one model: sampling under a grammar, likelihoods, element rankings.

`types` defines the inputs and outputs of a sampler, `request_grammar` the automaton of a request.
`generate` samples texts from any model. It chooses between two samplers: the fast
`crystal_vocabulary_sampler`, for models with the crystal vocabulary, whose formats
`coordinate_reader` and `wyckoff_reader` read, and `any_tokenizer_sampler` for any other.
`text_batch` is what the first of them steps, `cpu_llama` a fast forward pass with the keys and
values of `kv_batch`, and `sampling_model` reads both without transformers. `categorical` samples a
token, and `guidance` mixes the logits of two prompts.
`likelihood` scores crystals, and `element_ranking` ranks elements by probability.
"""
