"""How the quickstart study's data and base model were made. Needed by no study that runs."""
