"""Draw what a run directory holds, and nothing else: plots and one self-contained page."""
