"""What a model is worth: losses, questions, benchmarks, functions of one's own."""
