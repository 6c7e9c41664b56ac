"""Pure functions of stored rows: compute, audits, replicates, outlook, outcome."""
