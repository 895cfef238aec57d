"""Whose the data folder is, as far as it and the database can tell."""

from node.errors import StorageError
from node.keeping_store import KeepingStore
from node.spool import OWNER_FILE, Spool

UNMOUNTED = (
    "the data folder is empty and the database is not: is it mounted? "
    f"if it is meant to be, make an empty file {OWNER_FILE} in it"
)
"""Why an empty folder is not taken, with a way out."""


def settle_ownership(spool: Spool, store: KeepingStore) -> None:
    """Make sure that the data folder is the database's, where either can tell, and make its folders.

    An owner file without an owner in an empty folder is an admin's word that the folder is meant to be empty.

    Raises:
        StorageError: The database has been used and the data folder is empty, as if it were not mounted; or
            the folders cannot be made.
    """
    identity, is_used = store.identity(), store.was_used()  # before the folder: another may begin now
    owner = spool.owner()
    is_empty = not (owner and owner[0]) and _is_empty(spool)
    if is_empty and is_used and not spool.has_owner_file():
        store.engine.dispose()
        raise StorageError(UNMOUNTED)
    spool.prepare()
    if is_empty:
        owner = (identity.value, identity.passes)
        spool.set_owner(*owner)
    if owner is not None and owner[0] == identity.value:
        spool.expect(identity.value)


def whose(spool: Spool, store: KeepingStore) -> str:
    """Return why the database may not be that of the data folder; empty: it is, or the folder cannot tell."""
    owner = spool.owner()  # before the database: others may count while we look
    if owner is None:
        is_used = store.was_used()  # before the folder, which may have got an owner or files meanwhile
        return UNMOUNTED if is_used and spool.owner() is None and _is_empty(spool) else ""
    identity = store.identity()
    mistake = f"if that is meant, delete {OWNER_FILE} in the data folder"
    if owner[0] != identity.value:
        return f"the data folder belongs to another database than database.url names; {mistake}"
    if owner[1] > identity.passes:
        return f"the database is older than the data folder, as if put back from a backup; {mistake}"
    return ""


def _is_empty(spool: Spool) -> bool:
    return next(spool.kept_files(), None) is None
