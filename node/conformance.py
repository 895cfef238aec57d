"""The last look at a result: what the Standard requires, and what viewers trip over. Nothing else leaves.

These checks are fast and ours; tests hold them against dciodvfy where it is installed.
"""

from collections.abc import Callable, Iterator, Mapping

from pydicom import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.attributes import CONVERSION_ERRORS
from node.contexts import LABEL_MAP_STORAGE
from node.encoding import file_pieces
from node.errors import ResultError
from node.gate import Violation, contents, general
from node.gate_image import presentation_state, secondary_capture
from node.gate_report import report
from node.gate_seg import segmentation

WORDS_OF_AT_MOST = 5
"""So many violations are told in words; the codes of all are."""

CHECKS: Mapping[str, Callable[[Dataset], Iterator[Violation]]] = {
    SegmentationStorage: segmentation,
    LABEL_MAP_STORAGE: segmentation,
    ComprehensiveSRStorage: report,
    Comprehensive3DSRStorage: report,
    GrayscaleSoftcopyPresentationStateStorage: presentation_state,
    SecondaryCaptureImageStorage: secondary_capture,
}
"""What is looked at in an object, by its SOP class."""


def check_conformance(result: Dataset) -> None:
    """Raise if a result must not leave.

    Raises:
        ResultError: Naming the rules that it breaks.
    """
    broken = violations(result)
    if not broken:
        return
    told = "; ".join(map(str, broken[:WORDS_OF_AT_MOST]))
    more = ", ".join(violation.code for violation in broken[WORDS_OF_AT_MOST:])
    kind = result.get("Modality", "result")
    raise ResultError(f"the {kind} does not conform: {told}{f'; also {more}' if more else ''}")


def encoded(result: Dataset) -> tuple[bytes, ...]:
    """Return a result as the pieces of a DICOM file (PS3.10), which is the last proof that it is one.

    Raises:
        ResultError: It cannot be encoded.
    """
    try:
        return file_pieces(result)
    except (*CONVERSION_ERRORS, OSError) as exc:  # pydicom makes an OSError of what it cannot pack
        broken = Violation("GEN-ENCODE", f"it cannot be encoded ({type(exc).__name__})")
        raise ResultError(f"the {result.get('Modality', 'result')} does not conform: {broken}") from exc


def violations(dataset: Dataset) -> list[Violation]:
    """Return what is wrong with a result; empty if nothing is."""
    check = CHECKS.get(dataset.get("SOPClassUID"))
    if check is None:
        return [Violation("GEN-CLASS", f"SOP Class {dataset.get('SOPClassUID')!s} is none of ours")]
    found = list(general(dataset))
    return found or [*check(dataset), *contents(dataset)]
