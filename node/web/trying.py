"""Trying the active rules on a file that somebody sent for it."""

import threading

from fastapi import Request

from node.errors import UndecodableError
from node.rule_facts import Titles
from node.web.deeds import Act
from node.web.desk import Desk
from node.web.rule_flow import TrialShown, tried
from node.web.upload import Upload

_ONE_AT_A_TIME = threading.Lock()
"""A file may be as long as an object may be, and is in memory while it is tried."""


def try_upload(request: Request, desk: Desk, upload: Upload) -> TrialShown:
    """Return what the node would do with the file of a form.

    Raises:
        UndecodableError: There is no file, or none that the node could read.
    """
    if upload.file is None:
        raise UndecodableError("no file was sent: choose a DICOM file")
    settings = desk.settings
    titles = Titles(upload.calling, upload.called or settings.node.ae_title)
    with desk.noting(request, upload.visitor, Act.TRY_RULES), _ONE_AT_A_TIME:
        return tried(settings, upload.name, upload.file, titles)
