"""The search for thresholds worth using, by replay."""
