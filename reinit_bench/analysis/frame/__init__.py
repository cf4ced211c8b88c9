"""The frame: a row per finished run, with its setting's name, place in the order and distance from the paper."""
