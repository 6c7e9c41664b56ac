"""What the early dynamics of finished runs were worth."""
