"""Who this program is, in associations and in files alike (PS3.7 D.3.3.2, PS3.10 7.1)."""

from pydicom.uid import UID
from pynetdicom import AE

IMPLEMENTATION_CLASS_UID = UID("2.25.220204471444902736902730368850413526241")
IMPLEMENTATION_VERSION_NAME = "PAXNODE"


def application_entity(ae_title: str) -> AE:
    """Return an application entity that names this program in its associations."""
    ae = AE(ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae
