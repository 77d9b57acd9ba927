"""The command line. Nothing heavy is imported before a command runs, so that help and mistakes come at once."""

from torchwork.cli.app import main

__all__ = ["main"]
