"""Whoever shows the stored values by the presentation state alone sees what the node saw."""

import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForProcessing, ExplicitVRBigEndian, ExplicitVRLittleEndian

from ai.measurement import Measurements
from ai.segmentation import ModelIdentity, Segmentation
from node.options import OutputOptions
from node.presentation_state import write_presentation_state
from node.reader import Source, read_radiograph

MakeDx = Callable[..., Dataset]
HIGHEST = 4095


def _lut(first: int, entries: npt.NDArray[np.integer], bits: int = 16) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


def _curve(highest: int = 0xFFFF) -> npt.NDArray[np.integer]:
    return (np.linspace(0, 1, HIGHEST + 1) ** 0.7 * highest).round().astype(np.uint16)


def _without_window(dataset: Dataset) -> Dataset:
    del dataset.WindowCenter, dataset.WindowWidth
    return dataset


def _modality_lut(make: MakeDx) -> Dataset:
    dataset = make(ModalityLUTSequence=[_lut(0, _curve())], WindowCenter="30000", WindowWidth="50000")
    dataset.ModalityLUTSequence[0].ModalityLUTType = "OD"
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    return dataset


FOR_PROCESSING = {
    "SOPClassUID": DigitalXRayImageStorageForProcessing,
    "PresentationIntentType": "FOR PROCESSING",
}

SOURCES: dict[str, Callable[[MakeDx], Dataset]] = {
    "window": lambda make: make(WindowCenter="1800", WindowWidth="3000"),
    "second window": lambda make: make(WindowCenter=["-9000", "1800"], WindowWidth=["100", "3000"]),
    "exact window": lambda make: make(WindowCenter="1800", WindowWidth="3000", VOILUTFunction="LINEAR_EXACT"),
    "sigmoid": lambda make: make(WindowCenter="1800", WindowWidth="3000", VOILUTFunction="SIGMOID"),
    "monochrome1": lambda make: make(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "monochrome1 of no shape": lambda make: make(
        PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=""
    ),
    "contradiction": lambda make: make(PresentationLUTShape="INVERSE"),
    "rescale": lambda make: make(
        RescaleSlope="-2.5", RescaleIntercept="1000", WindowCenter="-3000", WindowWidth="9000"
    ),
    "slope of nothing": lambda make: make(RescaleSlope="0"),
    "no window": lambda make: _without_window(make()),
    "useless window": lambda make: make(WindowCenter="-600", WindowWidth="10"),
    "voi lut": lambda make: make(VOILUTSequence=[_lut(0, _curve())]),
    "voi lut below 0": lambda make: make(RescaleIntercept="-1000", VOILUTSequence=[_lut(-1000, _curve())]),
    "unreadable voi lut": lambda make: make(VOILUTSequence=[Dataset()]),
    "modality lut": _modality_lut,
    "for processing": lambda make: _without_window(make(**FOR_PROCESSING)),
    "for processing, turned over": lambda make: _without_window(
        make(**FOR_PROCESSING, PixelIntensityRelationshipSign=1)
    ),
}


def _source(dataset: Dataset) -> Source:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content, guess_polarity=False)


def _state(source: Source) -> Dataset:
    nothing = Segmentation(source.shape, {}, ModelIdentity("none", "1", "0" * 64))
    content = BytesIO()
    state = write_presentation_state(source, nothing, Measurements(()), OutputOptions())
    state.save_as(content, enforce_file_format=True)
    content.seek(0)
    return dcmread(content)


def _shown(stored: npt.NDArray[np.integer], state: Dataset) -> npt.NDArray[np.float64]:
    """Return P-Values in [0, 1] of stored values by what the state says alone (PS3.4 N.2)."""
    values = apply_modality_lut(stored, state)
    (voi,) = state.SoftcopyVOILUTSequence
    if "VOILUTSequence" in voi:
        shown = apply_voi_lut(np.rint(values).astype(np.int32), voi) / 0xFFFF
    else:
        center, width = float(voi.WindowCenter), float(voi.WindowWidth)
        function = voi.get("VOILUTFunction", "LINEAR")
        shift = 0.5 if function == "LINEAR" else 0.0
        scaled = (values - (center - shift)) / (width - 2 * shift)
        shown = 1 / (1 + np.exp(-4 * scaled)) if function == "SIGMOID" else np.clip(scaled + 0.5, 0, 1)
    return np.asarray(1 - shown if state.PresentationLUTShape == "INVERSE" else shown)


@pytest.mark.parametrize("name", SOURCES)
def test_the_image_is_shown_as_the_node_saw_it(make_dx: MakeDx, name: str) -> None:
    dataset = SOURCES[name](make_dx)
    source = _source(dataset)
    assert _shown(dataset.pixel_array, _state(source)) == pytest.approx(source.radiograph.pixels, abs=1e-4)


@pytest.mark.parametrize("name", ["monochrome1", "rescale", "voi lut below 0", "modality lut"])
def test_dcmtk_shows_the_same(make_dx: MakeDx, tmp_path: Path, name: str) -> None:
    program = shutil.which("dcmp2pgm")  # of dcmtk
    if program is None:
        return
    dataset = SOURCES[name](make_dx)
    source = _source(dataset)
    image, state, picture = (tmp_path / name for name in ("image.dcm", "state.dcm", "shown.pgm"))
    dataset.save_as(image, enforce_file_format=True)
    _state(source).save_as(state, enforce_file_format=True)
    subprocess.run([program, "-p", state, image, picture], check=True, capture_output=True)
    shown = np.asarray(Image.open(picture), np.float64) / 255
    assert shown == pytest.approx(source.radiograph.pixels, abs=1.5 / 255)


def test_a_linear_image_for_processing_has_no_window(make_dx: MakeDx) -> None:
    source = _source(_without_window(make_dx(**FOR_PROCESSING, PixelIntensityRelationship="LIN")))
    assert "SoftcopyVOILUTSequence" not in _state(source)


def test_values_of_no_rescale_get_none(make_dx: MakeDx) -> None:
    dataset = make_dx()
    del dataset.RescaleSlope, dataset.RescaleIntercept
    state = _state(_source(dataset))
    assert "RescaleSlope" not in state
    assert "ModalityLUTSequence" not in state


@pytest.mark.parametrize("entries", [HIGHEST, HIGHEST + 20])
def test_a_table_of_another_length_than_it_says_is_left_out(make_dx: MakeDx, entries: int) -> None:
    table = _lut(0, _curve())
    table.LUTDescriptor[0] = entries
    state = _state(_source(make_dx(ModalityLUTSequence=[table])))
    assert "ModalityLUTSequence" not in state
    assert state.RescaleSlope == 1


def test_a_table_of_65536_values_says_0_and_keeps_its_kind(make_dx: MakeDx) -> None:
    table = _lut(0, np.arange(0x10000) // 2)
    table.LUTDescriptor[0], table.ModalityLUTType = 0, "OD"
    (again,) = _state(_source(make_dx(ModalityLUTSequence=[table]))).ModalityLUTSequence
    assert list(again.LUTDescriptor) == [0, 0, 16]
    assert again.ModalityLUTType == "OD"
    assert again.LUTData == table.LUTData


def test_a_table_of_big_endian_bytes_is_turned_round(make_dx: MakeDx) -> None:
    little, big = make_dx(VOILUTSequence=[_lut(0, _curve())]), make_dx()
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    big.PixelData = big.pixel_array.astype(">u2").tobytes()
    big.VOILUTSequence = [_lut(0, _curve())]
    big.VOILUTSequence[0].LUTData = _curve().astype(">u2").tobytes()
    content = BytesIO()
    big.save_as(content, implicit_vr=False, little_endian=False, enforce_file_format=True)
    content.seek(0)
    state, wanted = _state(read_radiograph(content)), _state(_source(little))
    assert wanted.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert state.SoftcopyVOILUTSequence == wanted.SoftcopyVOILUTSequence
