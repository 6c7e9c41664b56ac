"""Studies that ship with the product, as package data: each a YAML file and what it names."""
