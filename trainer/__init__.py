"""One supervised fine-tuning trial: data, model, training, observations, evaluation."""
