"""Recorded studies looked at: evidence, replay, tuning, export, and what they print."""
