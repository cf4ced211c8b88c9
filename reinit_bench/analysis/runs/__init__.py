"""Finished runs as one frame: read, labelled, ordered as the paper orders them, compared with its settings."""
