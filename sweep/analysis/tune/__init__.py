"""`sweep tune`: the search for settings as a command, what it comes to, and how it is printed."""
