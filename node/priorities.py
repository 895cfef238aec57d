"""How soon an image is worked on: as its sender asks, and as the admin says of its sender."""

from collections.abc import Collection

from pynetdicom.dimse_primitives import C_STORE

from node.jobs import Priority

HIGH = 0x0001
"""Priority (0000,0700) of a C-STORE request (PS3.7 Table 9.3-1). MEDIUM (0000) and LOW (0002) are alike:
toolkits send LOW where nobody has chosen anything (pynetdicom 3.0.4 does)."""


def priority_of(request: C_STORE, calling_ae_title: str, urgent_ae_titles: Collection[str]) -> Priority:
    """Return the priority of an object.

    Args:
        request: With which it came.
        calling_ae_title: Who sent it.
        urgent_ae_titles: Whose objects are urgent whatever they ask for; `node.urgent_ae_titles`.
    """
    is_urgent = request.Priority == HIGH or calling_ae_title.strip() in urgent_ae_titles
    return Priority.URGENT if is_urgent else Priority.ROUTINE
