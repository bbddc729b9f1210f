"""Lets `python -m crystext` do what `crystext` does."""

from crystext.cli.main import main

if __name__ == "__main__":
    main()
