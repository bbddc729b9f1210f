"""Benchmarks of language models in words: suites of questions, and what asks and grades them.

`suite` defines what a suite is, `run` asks, `scores` grades, `measure` does all of it.
"""
