"""``python -m torchwork``: the same as the command ``torchwork``."""

from torchwork.cli.app import main

if __name__ == "__main__":
    main()
