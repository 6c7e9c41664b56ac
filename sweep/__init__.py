"""The orchestrator: study file, search space, ledger, executors, driver, inspection."""
