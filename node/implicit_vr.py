"""From Explicit to Implicit VR without touching a value: text keeps its bytes, in whatever character set.

Both are little endian, so only the headers of the elements differ (PS3.5 7.1.2, 7.1.3). A value that were
decoded and encoded again would come out altered where its bytes do not fit the stated character set.
"""

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.uid import ImplicitVRLittleEndian


def to_implicit_vr(dataset: Dataset) -> None:
    """Make a data set that was read in Explicit VR Little Endian, and is native, one in Implicit VR.

    Args:
        dataset: As `dcmread` returned it; changed in place, its transfer syntax with it.
    """
    _keep_values(dataset)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def _keep_values(dataset: Dataset) -> None:
    """Let pydicom write undecoded elements as they are: it does where it believes them read as implicit."""
    for tag in list(dataset.keys()):
        element: object = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and element.VR != "SQ":
            dataset[tag] = element._replace(value=element.value or b"")
            continue
        decoded = dataset[tag]
        if decoded.VR == "SQ":
            for item in decoded.value:
                _keep_values(item)
    dataset.set_original_encoding(True, True)
