"""`sweep evidence`: its numbers, what they come to in sentences, and how they are printed."""
