"""A DICOM file that somebody tries out: read from the form when it is known who sends it, and not kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from node.errors import UndecodableError
from node.web.access import Viewer
from node.web.sessions import Visitor

LONGEST_NAME = 200
"""Characters of a file's name that are shown."""

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A DICOM file."},
                        "calling": {"type": "string", "description": "AE title that would send it."},
                        "called": {"type": "string", "description": "AE title that it would call."},
                    },
                }
            }
        },
    }
}
"""What the form holds, for the OpenAPI description."""


@dataclass(frozen=True)
class Upload:
    """A form with a file.

    Attributes:
        visitor: Who sent it.
        file: Open; None: the form holds none.
        name: What it is called where it comes from.
        calling: AE title that would send it.
        called: AE title that it would call.
    """

    visitor: Visitor
    file: BinaryIO | None
    name: str
    calling: str
    called: str


async def upload_of(request: Request, visitor: Viewer) -> AsyncIterator[Upload]:
    """Give the form to a route, and remove the file from memory and disk when that is done.

    Raises:
        UndecodableError: The request is no form.
    """
    try:
        async with request.form() as form:
            sent = form.get("file")
            file = sent if isinstance(sent, UploadFile) and sent.filename else None
            calling, called = (str(form.get(key, "")).strip()[:64] for key in ("calling", "called"))
            name = "" if file is None else (file.filename or "")[:LONGEST_NAME]
            yield Upload(visitor, None if file is None else file.file, name, calling, called)
    except HTTPException as error:
        raise UndecodableError(f"the request is no form with a file: {error.detail}") from error


Uploaded = Annotated[Upload, Depends(upload_of)]
