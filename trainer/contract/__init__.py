"""What a driver may import of the trainer: specs, events, processes, texts. Nothing heavy."""
