"""What the node accepts: SOP classes (PS3.4 B.5) and transfer syntaxes (PS3.5 10)."""

import re

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

NAMED = 3
"""So many SOP classes that were declined are named; storescu proposes a hundred."""

NO_SYNTAX = 0x04
"""Result of a presentation context of which no transfer syntax is supported (PS3.8 Table 9-18)."""

_UID = re.compile(r"[0-9.]{1,64}")  # what a UID may consist of, PS3.5 9.1

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
LABEL_MAP_NAME = "Label Map Segmentation Storage"
"""PS3.4 B.5; pydicom has no name for it."""

STORAGE_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
"""Every SOP class in which a radiograph may come. Colour is taken in, and refused by name by the reader."""


def transfer_syntaxes() -> list[UID]:
    """Return every transfer syntax whose pixels can be decoded with what is installed, the best first.

    Of those that a sender offers in one context the first one here is taken: explicit VR before what would
    have to be compressed for us, and implicit VR, which loses what private attributes are, last.
    """
    decoded = [syntax for syntax in AllTransferSyntaxes if _is_decoded(syntax)]
    return sorted(
        decoded, key=lambda syntax: (syntax == ImplicitVRLittleEndian, syntax != ExplicitVRLittleEndian)
    )


def _is_decoded(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def supported_contexts() -> list[PresentationContext]:
    """Return what is accepted in an association: Verification, and storage of every class."""
    syntaxes = [str(syntax) for syntax in transfer_syntaxes()]
    storage = [build_context(str(sop_class), syntaxes) for sop_class in STORAGE_CLASSES]
    return [build_context(Verification), *storage]


def declined(association: Association) -> str:
    """Return which SOP classes a peer proposed in vain, in words; "" where each was accepted.

    What is no UID is not repeated: a peer may write anything there, and this goes into the log.
    """
    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    names = sorted({_named(cx) for cx in association.rejected_contexts if cx.abstract_syntax not in accepted})
    if not names:
        return ""
    more = len(names) - NAMED
    return f"not accepted: {', '.join(names[:NAMED])}" + (f" and {more} more" if more > 0 else "")


def _named(context: PresentationContext) -> str:
    uid = UID(context.abstract_syntax or "")
    is_known = uid.name != uid  # pydicom has a name for what is of the Standard, and knows nothing else
    known = uid.name if is_known else uid if _UID.fullmatch(uid) else "what is no UID"
    return f"{known} (in no transfer syntax of ours)" if context.result == NO_SYNTAX else known
