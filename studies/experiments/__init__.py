"""What the findings of studies/LOG.md rest on: `python -m studies.experiments.NAME`."""
