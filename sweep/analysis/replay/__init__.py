"""`sweep replay`: policies side by side, what that comes to, and how it is printed and drawn."""
