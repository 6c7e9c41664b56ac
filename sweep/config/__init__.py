"""The study file: its keys, its checks, and how it is read and edited."""
