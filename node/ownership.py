"""Whose the data folder is, as far as it and the database can tell."""

from node.errors import StorageError
from node.keeping_store import KeepingStore
from node.spool import OWNER_FILE, Spool


def settle_ownership(spool: Spool, store: KeepingStore) -> None:
    """Make sure that the data folder is the database's, where either can tell, and make its folders.

    An owner file without an owner in an empty folder is an admin's word that the folder is meant to be empty.

    Raises:
        StorageError: The database has been used and the data folder is empty, as if it were not mounted; or
            the folders cannot be made.
    """
    identity = store.identity()
    doubt = _unmounted(spool, store)
    if doubt and not spool.has_owner_file():
        store.engine.dispose()
        raise StorageError(doubt)
    owner = spool.owner()
    spool.prepare()
    if not (owner and owner[0]) and next(spool.kept_files(), None) is None:
        owner = (identity.value, identity.passes)
        spool.set_owner(*owner)
    if owner is not None and owner[0] == identity.value:
        spool.expect(identity.value)


def whose(spool: Spool, store: KeepingStore) -> str:
    """Return why the database may not be that of the data folder; empty: it is, or the folder cannot tell."""
    owner = spool.owner()  # before the database: others may count while we look
    if owner is None:
        return _unmounted(spool, store)
    identity = store.identity()
    mistake = f"if that is meant, delete {OWNER_FILE} in the data folder"
    if owner[0] != identity.value:
        return f"the data folder belongs to another database than database.url names; {mistake}"
    if owner[1] > identity.passes:
        return f"the database is older than the data folder, as if put back from a backup; {mistake}"
    return ""


def _unmounted(spool: Spool, store: KeepingStore) -> str:
    """Return why the data folder may be one that is not mounted; empty: nothing speaks for it."""
    is_used = store.was_used()  # before the folder: another may begin now
    if not is_used or spool.owner() is not None or next(spool.kept_files(), None) is not None:
        return ""
    way_out = f"if it is meant to be, make an empty file {OWNER_FILE} in it"
    return f"the data folder is empty and the database is not: is it mounted? {way_out}"
