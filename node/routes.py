"""Which transport goes to which destination."""

from collections.abc import Generator, Sequence

from config.settings import AnyDestination, Settings, WebDestination
from node.outcome import Outcome
from node.stow import StowTransport
from node.transport import DimseTransport, Outgoing, Transport


class Routes:
    """Takes objects to a `[[destination]]` by C-STORE and to a `[[web_destination]]` by STOW-RS.

    Args:
        dimse: For the former.
        web: For the latter.
    """

    def __init__(self, dimse: Transport, web: Transport) -> None:
        self._dimse = dimse
        self._web = web

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """See `node.transport.Transport.send`."""
        transport = self._web if isinstance(destination, WebDestination) else self._dimse
        return transport.send(destination, objects)


def routes_of(settings: Settings) -> Routes:
    """Return the ways to every destination that the settings name."""
    return Routes(DimseTransport(settings.node.ae_title, settings.tls), StowTransport(settings.tls))
