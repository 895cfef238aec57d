"""What a process of the node does, and which model is none."""

from enum import StrEnum

STAND_IN = "stand-in"
"""`bundle = "stand-in"` in the settings: geometric shapes, for trials of everything around a model."""


class Part(StrEnum):
    """What a process of the node does; processes share the database and the data folder."""

    LISTEN = "listen"
    WORK = "work"
    DELIVER = "deliver"


ALL_PARTS = frozenset(Part)
