"""How soon an image is worked on: as its sender asks, and as the admin says of its sender."""

from collections.abc import Collection

from pynetdicom.dimse_primitives import C_STORE

from node.jobs import Priority

DIMSE_PRIORITIES = {0x0000: Priority.ROUTINE, 0x0001: Priority.URGENT, 0x0002: Priority.LOW}
"""Priority (0000,0700) of a C-STORE request: MEDIUM, HIGH, LOW (PS3.7 9.1.1.1 and Table 9.3-1)."""


def priority_of(request: C_STORE, calling_ae_title: str, urgent_ae_titles: Collection[str]) -> Priority:
    """Return the priority of an object.

    Args:
        request: With which it came.
        calling_ae_title: Who sent it.
        urgent_ae_titles: Whose objects are urgent whatever they ask for; `node.urgent_ae_titles`.
    """
    if calling_ae_title.strip() in urgent_ae_titles:
        return Priority.URGENT
    return DIMSE_PRIORITIES[request.Priority]  # pynetdicom lets no other value through
