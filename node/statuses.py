"""The DIMSE statuses that this node answers to C-STORE and C-ECHO.

Statuses that peers answer to us are judged in `node.outcome`.
"""

SUCCESS = 0x0000
"""Stored: on disk and in the database (PS3.4 B.2.2, Table B.2-1)."""

OUT_OF_RESOURCES = 0xA700
"""Refused: Out of Resources (PS3.4 Table B.2-1, A7xx). Sending again later can help."""

DOES_NOT_MATCH_SOP_CLASS = 0xA900
"""Error: Data Set Does Not Match SOP Class (PS3.4 Table B.2-1, A9xx)."""

CANNOT_UNDERSTAND = 0xC000
"""Error: Cannot Understand (PS3.4 Table B.2-1, Cxxx)."""
