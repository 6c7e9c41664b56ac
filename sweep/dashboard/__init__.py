"""optuna-dashboard on a study, read-only, with our verdicts as notes and our curves as figures:
none of them is written, they are made of the ledger when a page asks."""
