"""Hydra plugins: the study sweeper and the launchers."""
