import numpy as np
import numpy.typing as npt
import pytest

from ai.coco import IDS_AN_IMAGE, coco_json, compressed, run_lengths
from ai.labels import LABELS, label
from ai.segmentation import Mask, ModelIdentity, Segmentation

Field = npt.NDArray[np.bool_]
MODEL = ModelIdentity("tiny", "1.2", "a" * 64)


def decoded(counts: str, shape: tuple[int, int]) -> Field:
    """What COCO means by such a text, character by character (rleFrString and rleDecode in maskApi.c)."""
    lengths: list[int] = []
    at = 0
    while at < len(counts):
        value, place, follows = 0, 0, True
        while follows:
            digit = ord(counts[at]) - 48
            value |= (digit & 0x1F) << (5 * place)
            follows = bool(digit & 0x20)
            at, place = at + 1, place + 1
            if not follows and digit & 0x10:
                value |= -1 << (5 * place)
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    pixels = [index % 2 == 1 for index, length in enumerate(lengths) for _ in range(length)]
    full = np.zeros(shape[0] * shape[1], np.bool_)
    full[: len(pixels)] = pixels
    return full.reshape(shape, order="F")


def fields() -> dict[str, Field]:
    generator = np.random.default_rng(0)
    found = {f"noise {share}": generator.random((13, 17)) < share for share in (0.1, 0.5, 0.9)}
    found["all"] = np.ones((13, 17), np.bool_)
    found["first pixel"] = np.zeros((13, 17), np.bool_)
    found["first pixel"][0, 0] = True
    found["last pixel"] = found["first pixel"][::-1, ::-1]
    found["whole columns"] = np.zeros((13, 17), np.bool_)
    found["whole columns"][:, 3:9] = True
    found["foot to head"] = np.zeros((13, 17), np.bool_)
    found["foot to head"][9:, 4] = found["foot to head"][:3, 5] = True
    found["large"] = np.hypot(*np.mgrid[-700:900, -600:500]) < 555
    return found


@pytest.mark.parametrize("name", fields())
def test_run_lengths_come_back_as_the_mask(name: str) -> None:
    dense = fields()[name]
    mask = Mask.from_dense(dense)
    assert mask is not None
    counts = run_lengths(mask, (dense.shape[0], dense.shape[1]))

    assert counts[1:].all(), "only the first run may be empty"
    assert np.array_equal(decoded(compressed(counts), (dense.shape[0], dense.shape[1])), dense)


@pytest.mark.parametrize(
    ("counts", "text"),  # made with pycocotools 2.0.11
    [
        ([6, 1, 40, 4, 5, 4, 5, 4, 21], "61X13mN000`0"),
        ([0, 1], "01"),
        ([5120000, 1], "PPXl41"),
        ([0, 5, 5119995, 7, 3, 5120000], "05koWl42XPhSKioWl4"),
    ],
)
def test_text_is_that_of_pycocotools(counts: list[int], text: str) -> None:
    assert compressed(np.array(counts)) == text


def test_annotations_name_category_area_and_box() -> None:
    pixels = np.ones((5, 3), np.bool_)
    pixels[0, 0] = False
    masks = {"heart": Mask(pixels, 10, 20)}
    content = coco_json(Segmentation((90, 80), masks, MODEL), "chest.png", image_id=7)
    [annotation] = content["annotations"]

    assert content["images"] == [{"id": 7, "file_name": "chest.png", "width": 80, "height": 90}]
    assert annotation["category_id"] == label("heart").id + 1
    assert annotation["image_id"] == 7
    assert (annotation["area"], annotation["bbox"], annotation["iscrowd"]) == (14, [20, 10, 3, 5], 0)
    assert annotation["segmentation"]["size"] == [90, 80]
    assert np.array_equal(
        decoded(annotation["segmentation"]["counts"], (90, 80)), masks["heart"].dense((90, 80))
    )


def test_every_structure_is_a_category_whose_id_is_no_zero() -> None:
    categories = coco_json(Segmentation((90, 80), {}, MODEL), "chest.png")["categories"]

    assert [(each["id"], each["name"]) for each in categories] == [(i.id + 1, i.name) for i in LABELS]
    assert len(LABELS) < IDS_AN_IMAGE


def test_annotations_of_two_images_of_a_run_have_ids_of_their_own() -> None:
    found = Segmentation((90, 80), {i.name: Mask(np.ones((2, 2), np.bool_), 1, 1) for i in LABELS}, MODEL)
    contents = [coco_json(found, "chest.png", image_id) for image_id in (1, 2)]
    ids = [annotation["id"] for content in contents for annotation in content["annotations"]]

    assert len(set(ids)) == 2 * len(LABELS)


def test_nothing_is_claimed_about_the_licence_of_the_picture() -> None:
    content = coco_json(Segmentation((90, 80), {}, MODEL), "chest.png")

    assert content["licenses"] == []
    assert "license" not in content["images"][0]
    assert "tiny 1.2" in content["info"]["description"]
    assert content["info"]["model_sha256"] == MODEL.sha256
