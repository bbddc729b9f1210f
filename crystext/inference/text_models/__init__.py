"""Models that answer prompts in words, wherever they run: here, or behind a service.

`open.open_text_model` opens one from a source; everything that asks in words goes through it.
"""
