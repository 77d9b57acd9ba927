"""The command line. Nothing heavy is imported before a command runs, so that help and mistakes come at once."""

from torchwork.cli import searching as searching  # its commands come to the app's
from torchwork.cli.app import main

__all__ = ["main"]
