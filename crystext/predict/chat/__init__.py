"""Properties from models that answer in words: prompts, their answers, and what reads these.

`predictor` asks any model of `inference.text_models`, without training it.
"""
