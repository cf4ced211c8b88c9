"""Preparing datasets: from a TFDS builder to a cache, in an environment that has TensorFlow. Never imports torch."""
