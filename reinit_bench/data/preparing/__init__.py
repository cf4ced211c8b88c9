"""What runs in the environment that has TensorFlow: from a TFDS builder to a cache. Never imports torch."""
