"""What PS3.8 numbers, in one place: the unit that carries data, its fragments, states and events."""

import struct

P_DATA_TF = 0x04
"""Type of the unit that carries commands and data sets (PS3.8 9.3.5)."""

FRAGMENT_HEADER = struct.Struct(">LBB")
"""Before each fragment of a unit: item length, which counts what follows it; context ID; message control
header (PS3.8 9.3.5.1, E.2). The length of a unit that a peer takes counts these six bytes, too."""

IS_COMMAND, IS_LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 E.2)."""

DATA_TRANSFER = "Sta6"
"""The state in which an association carries data (PS3.8 9.2)."""

TRANSPORT_CLOSED = "Evt17"
"""The event that tells that the connection is gone (PS3.8 9.2)."""
