"""What several tests share: a synthetic chest, its DX object, a judge of one opinion. No patient's data."""

import socketserver
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

BITS_STORED = 12


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_watched() -> Iterator[None]:
    """Keep nodes of tests that run at the same time from wanting the same port for health and metrics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAXNODE_WEB__ENABLED", "false")
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_end_when_told_to() -> Iterator[None]:
    """Let servers of the standard library, and so pynetdicom's, look every 10 ms, not 500, whether to end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (0.01,))
        yield


def _ellipse(
    shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    down = (rows / shape[0] - centre[0]) / radii[0]
    across = (columns / shape[1] - centre[1]) / radii[1]
    return np.asarray(down**2 + across**2 < 1)


def _chest(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Return display values in [0, 1]: a bright trunk with two dark lungs, a heart, a spine and some ribs."""
    shape = (rows, columns)
    picture = np.full(shape, 0.05, np.float32)
    picture[_ellipse(shape, (0.6, 0.5), (0.62, 0.48))] = 0.6
    for centre in (0.3, 0.7):
        lung = _ellipse(shape, (0.45, centre), (0.3, 0.15))
        ribs = np.sin(np.arange(rows) / rows * 60)[:, None] > 0.7
        picture[lung] = 0.2
        picture[lung & ribs] = 0.3
    picture[_ellipse(shape, (0.58, 0.55), (0.13, 0.14))] = 0.7
    picture[:, int(0.47 * columns) : int(0.53 * columns)] += 0.15
    noise = np.random.default_rng(0).normal(0, 0.01, shape)
    return np.clip(picture + noise, 0, 1).astype(np.float32)


class MakeDx(Protocol):
    """Makes a Digital X-Ray Image for presentation (PS3.3 A.26); keywords replace its attributes."""

    def __call__(self, rows: int = 256, columns: int = 224, **attributes: object) -> Dataset: ...


def _dx(rows: int = 256, columns: int = 224, **attributes: object) -> Dataset:
    pixels = (_chest(rows, columns) * (2**BITS_STORED - 1)).astype("<u2")
    dataset = Dataset()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName = "SYNTHETIC-1", "Synthetic^Chest"
    dataset.PatientBirthDate, dataset.PatientSex = "19600101", "O"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20250102"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "101112"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "A1", "1", ""
    dataset.Modality, dataset.Manufacturer, dataset.SeriesNumber, dataset.InstanceNumber = (
        "DX",
        "Synthetic",
        1,
        1,
    )
    dataset.PresentationIntentType, dataset.BodyPartExamined = "FOR PRESENTATION", "CHEST"
    dataset.ViewPosition, dataset.PatientOrientation = "PA", ["L", "F"]
    dataset.ImageType, dataset.ImageLaterality = ["ORIGINAL", "PRIMARY"], "U"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.ImagerPixelSpacing = [350 / rows, 350 / rows]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS_STORED, BITS_STORED - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return _with_meta(dataset)


def _with_meta(dataset: Dataset) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


@pytest.fixture(scope="session")
def make_dx() -> MakeDx:
    """A function that makes synthetic DX objects of chests."""
    return _dx


@pytest.fixture
def dx_file(tmp_path: Path, make_dx: MakeDx) -> Path:
    """A file with a synthetic DX object of a chest."""
    path = tmp_path / "chest.dcm"
    make_dx().save_as(path, enforce_file_format=True)
    return path


JUDGE_SIZE = 64


class MakeJudge(Protocol):
    """Makes judge.onnx of a judge that says the same of every picture; arguments are its logits."""

    def __call__(
        self,
        kind: tuple[float, ...] = (9, 0, 0),
        turn: tuple[float, ...] = (9, 0, 0, 0),
        mirrored: tuple[float, ...] = (-9,),
        inverted: tuple[float, ...] = (-9,),
    ) -> bytes: ...


def _judge(
    kind: tuple[float, ...] = (9, 0, 0),
    turn: tuple[float, ...] = (9, 0, 0, 0),
    mirrored: tuple[float, ...] = (-9,),
    inverted: tuple[float, ...] = (-9,),
) -> bytes:
    logits = {"kind": kind, "turn": turn, "mirrored": mirrored, "inverted": inverted}
    constants = {f"{name} bias": np.array([values], np.float32) for name, values in logits.items()}
    constants |= {"zero": np.array(0, np.float32), "shape": np.array([-1, 1], np.int64)}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"]),
        helper.make_node("Mul", ["flat", "zero"], ["nothing"]),
        *(helper.make_node("Add", ["nothing", f"{name} bias"], [name]) for name in logits),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "judge",
        [value("image", TensorProto.FLOAT, ["N", 1, JUDGE_SIZE, JUDGE_SIZE])],
        [value(name, TensorProto.FLOAT, ["N", len(values)]) for name, values in logits.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def make_judge() -> MakeJudge:
    """A function that makes judge.onnx of a judge of one opinion, for inputs of 64 x 64."""
    return _judge
