"""Predict properties of materials, with uncertainty, from their texts.

`base` defines the interface of predictors and of methods that fit them; `baselines` holds the
methods that every figure of a language model is compared with.
"""
