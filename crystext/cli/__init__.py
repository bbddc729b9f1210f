"""The command line: one file a command, and `main`, which gathers them.

A command's module imports little more than typer; what is heavy it imports when it runs.
"""
