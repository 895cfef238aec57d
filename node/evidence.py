"""Whether the node has what it is asked to commit itself to: looked at on the disk, byte by byte."""

import hashlib
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pynetdicom.dsutils import split_dataset

from node import commitment_statuses as statuses
from node.attributes import CONVERSION_ERRORS
from node.commitment_store import AskedCommitment, CommitmentStore, KeptObject, Pair
from node.errors import StorageError
from node.spool import Spool

PIECE_BYTES = 1_048_576
"""Read at a time."""


class Evidence:
    """Looks objects up.

    An object is there when a received object of its class and UID has its row and its file, and the file's
    data set has the size and the digest that it had when it came. So are those that were refused,
    quarantined or failed: their bytes are kept as they came.

    Args:
        store: Where objects have their rows.
        spool: Where they have their bytes.
    """

    def __init__(self, store: CommitmentStore, spool: Spool) -> None:
        self._store = store
        self._spool = spool

    def failures(self, asked: AskedCommitment) -> dict[Pair, int]:
        """Return the objects that the node does not commit itself to, with the Failure Reason of each.

        Raises:
            StorageError: The data folder is away, or does not work: nothing can be said of the objects now.
        """
        reasons = ((pair, self._failure(pair)) for pair in asked.references)
        return {pair: reason for pair, reason in reasons if reason is not None}

    def _failure(self, pair: Pair) -> int | None:
        sop_class, uid = pair
        found = self._store.kept(uid)
        if not found:
            return statuses.NO_SUCH_INSTANCE
        if all(kept.sop_class_uid != sop_class for kept in found):
            return statuses.CLASS_CONFLICT
        if not all(self._is_whole(kept) for kept in found):
            return statuses.NO_SUCH_INSTANCE
        return None

    def _is_whole(self, kept: KeptObject) -> bool:
        try:
            return is_whole(self._spool.path(kept.path), kept)
        except FileNotFoundError:
            self._spool.check_there()
            return False
        except OSError as error:
            raise StorageError(f"the spool cannot be read: {error.strerror}") from error


def is_whole(path: Path, kept: KeptObject) -> bool:
    """Return whether a file holds the data set that was received.

    Raises:
        OSError: It is not there, or the disk does not give it.
    """
    digest = hashlib.sha256(f"{kept.transfer_syntax_uid}\n".encode())
    size = 0
    try:
        _, start = split_dataset(path)
        with path.open("rb") as file:
            file.seek(start)
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        if error.errno is not None:  # the disk's word; without a number it is pydicom's, of a broken header
            raise
        return False
    except (*CONVERSION_ERRORS, InvalidDicomError):
        return False
    return size == kept.size and digest.hexdigest() == kept.digest
