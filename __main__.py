"""`python -m coldstream`: the same as the `coldstream` command."""

from .platform.cli.main import run

if __name__ == "__main__":
    run()
