"""The benchmark suite for reinitialization during training (Alabdulmohsin, Maennel, Keysers, AAAI 2022)."""

__version__ = "0.1.0"
