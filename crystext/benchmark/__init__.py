"""Benchmarks of property prediction: suites of tasks, chat models, scores and reports.

A suite (`suite`) is a YAML file that names data sets, properties, inputs and splits of a published
benchmark. `run` fits and scores methods (`predict.base.Method`) on its tasks, one resumable unit at
a time; `chat` lets language models answer in words, which `answers` parses.
"""
