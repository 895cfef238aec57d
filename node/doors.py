"""The sockets that the node listens on, and who may wait behind them."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace

from config.network import NodeSettings, TlsSettings
from node.errors import NodeError
from node.server_tls import ServerTls

BACKLOG = 512
"""Connections that the system holds until we take them. A crowd comes at once after a network was away."""

MAX_WAITING = 4096
"""More connections than this never wait at a time: the oldest goes."""

FILES_PER_ASSOCIATION = 4
"""Its connection, what wakes its thread (two), and the object that comes in."""

ADVICE = {
    errno.EADDRINUSE: "; something listens there, this node perhaps: `paxnode check` tells",
    errno.EACCES: "; ports below 1024 are for those whom the system lets",
}
"""What is said beside the system's own words."""


@dataclass(frozen=True)
class Door:
    """A socket that listens.

    Attributes:
        socket: It does not block.
        tls: How those who come in by it are secured; None: they are not.
    """

    socket: socket.socket
    tls: ServerTls | None = None

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.socket.getsockname()[1])


@dataclass(frozen=True)
class HouseRules:
    """Who may wait, for how long, and how many.

    Attributes:
        addresses: Networks, such as "192.0.2.0/24", that may connect; empty: any.
        patience_s: A TLS handshake and the request must both be there within so many seconds.
        max_waiting: Connections.
    """

    addresses: tuple[str, ...] = ()
    patience_s: float = 10.0
    max_waiting: int = MAX_WAITING


def open_doors(settings: NodeSettings, tls: TlsSettings) -> tuple[Door | None, Door | None]:
    """Listen without TLS and with it, as the settings say.

    Raises:
        NodeError: A port cannot be had.
        TlsError: A file of TLS cannot be used.
    """
    secure = ServerTls(tls) if tls.certificate else None
    plain_door = None if tls.only else _open_door(settings.host, settings.port)
    if secure is None:
        return plain_door, None
    try:
        return plain_door, _open_door(settings.host, tls.port, secure)
    except NodeError:
        if plain_door is not None:
            plain_door.socket.close()
        raise


def refitted(doors: Iterable[Door], tls: TlsSettings) -> tuple[Door, ...]:
    """Return the same doors for other settings of TLS; their sockets listen all the while.

    Raises:
        TlsError: A file of TLS cannot be used.
    """
    return tuple(replace(door, tls=ServerTls(tls)) if door.tls else door for door in doors)


def house_rules(settings: NodeSettings, tls: TlsSettings, file_limit: int) -> HouseRules:
    """Return who may wait; as many as half of the files that the process may hold beside its associations."""
    patience_s = min(tls.handshake_timeout_s, settings.network_timeout_s)
    left = file_limit - FILES_PER_ASSOCIATION * settings.max_associations
    return HouseRules(settings.calling_addresses, patience_s, max(1, min(MAX_WAITING, left // 2)))


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens; on "::" for IPv4 as well. OSError when the port cannot be had."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    families = {entry[0] for entry in found}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=dual)


def _open_door(host: str, port: int, tls: ServerTls | None = None) -> Door:
    try:
        listening = listening_socket(host, port)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0] + ADVICE.get(error.errno or 0, "")
        raise NodeError(f"cannot listen on {host}:{port}: {why}") from error
    listening.setblocking(False)
    return Door(listening, tls)
