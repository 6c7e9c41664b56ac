"""Studies in the trackers that people have: `run.report_to`. A process for each tracker reads the
ledger and mirrors it; nothing here runs in the driver but `host.py`."""
