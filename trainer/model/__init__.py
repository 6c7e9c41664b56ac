"""The base model loaded, adapted, sized, and saved."""
