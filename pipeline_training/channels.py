"""The planes that a projection is kept in, and that a radiograph is made of."""

from pipeline_training.anatomy import TISSUES

BONY = ("ribs", "spine", "shoulder", "front")
"""Groups whose bone is kept apart; of the others (contrast medium, what is not labelled) it is one sum."""

CHANNELS = (
    *(f"{tissue}: water" for tissue in TISSUES),
    *(f"{tissue}: bone" for tissue in BONY),
    "other: bone",
    "devices",
)
"""Planes of a stored projection: paths in decimetres (the unit in which half precision is finest), and the
attenuation integral of the devices, unitless."""

MM_PER_UNIT = 100.0
