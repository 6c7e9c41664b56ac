"""Recorded sweeps: read from tables, held in memory, and what they say as a prior."""
