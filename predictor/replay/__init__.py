"""What policies would have done on recorded sweeps, and what that costs."""
