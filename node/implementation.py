"""Who this program is, in associations and in files alike (PS3.7 D.3.3.2, PS3.10 7.1)."""

from collections.abc import Sequence
from ssl import SSLContext
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket

from node.connections import mend_sockets
from node.late_abort import close_on_late_abort
from node.outflow import stream_data_sets
from node.outlet import Outlet
from node.turn import TAKES_TURNS

IMPLEMENTATION_CLASS_UID = UID("2.25.220204471444902736902730368850413526241")
IMPLEMENTATION_VERSION_NAME = "PAXNODE"


class Entity(AE):
    """An application entity in whose associations no answer is lost to pynetdicom's own thread.

    What it stores from files is streamed.

    It may take another one's place: it counts what began with that one, too.

    Attributes:
        inherited: Associations, its own among them or not.
    """

    inherited: Sequence[Association] = ()

    @property
    def active_associations(self) -> list[Association]:
        """Those that are alive; PS3.8 9.3.4 lets one that is too many be rejected."""
        others = [each for each in self.inherited if each.ae is not self and each.is_alive()]
        return [*super().active_associations, *others]

    def associate(self, *where: Any, **how: Any) -> Association:
        """Ask for an association, as pynetdicom does; handlers are given by name."""
        how["evt_handlers"] = [TAKES_TURNS, *(how.get("evt_handlers") or ())]
        return super().associate(*where, **how)

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[SSLContext, str] | None
    ) -> AssociationSocket:
        """Return the socket of an association that has not begun, which gets our own parts here."""
        stream_data_sets(assoc)
        outlet = Outlet(assoc, address=address)
        outlet.tls_args = tls_args
        return outlet


def application_entity(ae_title: str) -> Entity:
    """Return an application entity that names this program in its associations."""
    close_on_late_abort()
    mend_sockets()
    ae = Entity(ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae
