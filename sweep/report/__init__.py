"""A study for people: what it was, what it found and why, as data and as text."""
