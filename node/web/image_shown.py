"""What a page shows of an image beside words: the radiograph, the masks, what was measured."""

from typing import Annotated, cast

from fastapi import Depends, Request

from node.canvas import Canvas
from node.errors import NotThereError
from node.job_store import JobStore
from node.kept_results import job_with_files
from node.spool import Spool
from node.stored_picture import picture_of
from node.study_masks import MaskPicture, Masks, masks_of
from node.study_pictures import RadiographPicture, canvas_of
from node.study_reading import Reading, reading_of
from node.web.errors import ConflictError
from node.web.lately import Lately

MOST_BYTES = 32_000_000
"""Of radiographs that are kept, and again of masks."""

MOST_CANVASES = 10_000
"""Two numbers each."""

READING_BYTES = 100_000
"""What a reading takes, roughly: some hundred points and sentences."""

Version = tuple[object, ...]


class ShownImages:
    """Pictures of jobs; those that were looked at last are not decoded again.

    Every method raises NotThereError for a job or files that are not there, and the errors of what it reads.

    Args:
        store: The queue.
        spool: Where files lie.
    """

    def __init__(self, store: JobStore, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._pictures = Lately[RadiographPicture](MOST_BYTES, lambda picture: len(picture.png))
        self._canvases = Lately[Canvas](MOST_CANVASES, lambda _canvas: 1)
        self._masks = Lately[Masks](MOST_BYTES, lambda masks: sum(len(each.png) for each in masks.pictures))
        self._readings = Lately[Reading](MOST_BYTES, lambda _reading: READING_BYTES)

    def picture(self, job_id: int) -> RadiographPicture:
        """Return the picture of a job's image, as `node.stored_picture.picture_of` does."""
        return self._pictures.get(self._version(job_id), lambda: picture_of(self._store, self._spool, job_id))

    def canvas(self, job_id: int) -> Canvas:
        """Return how its picture is scaled, as `node.study_pictures.canvas_of` does."""
        return self._canvases.get(self._version(job_id), lambda: canvas_of(self._store, self._spool, job_id))

    def masks(self, job_id: int, of: str = "") -> Masks:
        """Return its masks, as `node.study_masks.masks_of` does.

        Args:
            job_id: Which.
            of: The version of the results whose masks are asked for; empty: those that there are now.

        Raises:
            ConflictError: Other results tell of the job now.
        """
        found = self._masks.get(self._version(job_id), lambda: masks_of(self._store, self._spool, job_id))
        if of not in {"", found.version}:
            raise ConflictError(f"the results of job {job_id} have changed; load the page again")
        return found

    def mask(self, job_id: int, label: str, of: str) -> MaskPicture:
        """Return the mask of a structure, by its Segment Label, out of the results of a version."""
        for picture in self.masks(job_id, of).pictures:
            if picture.label == label:
                return picture
        raise NotThereError(f"job {job_id} has no mask of that name")

    def reading(self, job_id: int) -> Reading:
        """Return what was measured, as `node.study_reading.reading_of` does."""
        return self._readings.get(self._version(job_id), lambda: reading_of(self._store, self._spool, job_id))

    def _version(self, job_id: int) -> Version:
        """Return what changes when a job is run once more, or comes again after its files were removed."""
        job = job_with_files(self._store, job_id)
        if not job.path:
            raise NotThereError(f"job {job_id} has no file")
        return job.id, job.path, job.state, job.updated_at


def shown_of(request: Request) -> ShownImages:
    """Return the pictures of the node that a request came to; a dependency."""
    return cast(ShownImages, request.app.state.shown)


Shown = Annotated[ShownImages, Depends(shown_of)]
