"""The driver: a study is opened, its trials asked for, moved, judged and told."""
