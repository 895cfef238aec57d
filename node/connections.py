"""Looking whether a connection can be read, whatever its number, and ending it as its peer expects.

pynetdicom asks `select`, which knows file descriptors below 1024 only: in a process that holds a thousand
connections it takes a good one for closed.
"""

import select
import socket
import ssl
from contextlib import suppress

from pynetdicom.transport import AssociationSocket

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


def is_readable(connection: socket.socket) -> bool:
    """Return whether bytes, or the end of the connection, wait to be read; those within TLS included.

    Raises:
        OSError: The connection is closed.
    """
    if isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    if connection.fileno() < 0:
        raise OSError("the connection is closed")
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def is_ready(association_socket: AssociationSocket) -> bool:
    """Return what `AssociationSocket.ready` does, and announce a connection that is closed as it does."""
    if association_socket.socket is None or not association_socket._is_connected:
        return False
    try:
        return is_readable(association_socket.socket)
    except (OSError, ValueError):
        association_socket.event_queue.put("Evt17")  # transport connection closed, PS3.8 table 9-10
        return False


def mend_sockets() -> None:
    """Teach pynetdicom's sockets, those of the sender too, to ask `poll`, and to close what they gave up.

    Where the peer has gone already, they leave a descriptor open until the memory is tidied up. Done again,
    it changes nothing.
    """
    AssociationSocket.ready = property(is_ready)  # type: ignore[method-assign, assignment]
    AssociationSocket._shutdown_socket = _end  # type: ignore[method-assign, assignment]


def _end(association_socket: AssociationSocket) -> None:
    if association_socket.socket is not None:
        close(association_socket.socket)


def acknowledge_at_once(connection: socket.socket) -> None:
    """Acknowledge what comes next at once: a peer with Nagle's algorithm holds the rest back until then.

    Else it would wait for the delayed acknowledgement, 40 ms (RFC 1122 4.2.3.2). It holds until something is
    sent; where the system has no such option nothing happens.
    """
    if _QUICK_ACK is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def close(connection: socket.socket) -> None:
    """End a connection, over TLS by saying so (RFC 8446 6.1), and give its descriptor back; never wait."""
    with suppress(OSError, ValueError):
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(0)
            with suppress(ssl.SSLError, ValueError):  # it wants the peer's farewell, or was never secured
                connection.unwrap()
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
