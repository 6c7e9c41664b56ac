"""The documents; `python -m docs.generate` writes those that are made from the code."""
