"""How many files and connections the process may hold open."""

import resource

ENOUGH_FILES = 65_536
"""More is never asked for: some systems allow a thousand million, and tables grow with what is allowed."""


def raise_file_limit() -> int:
    """Raise the process's limit as far as it may, at most to `ENOUGH_FILES`; return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    most = ENOUGH_FILES if hard == unlimited else min(hard, ENOUGH_FILES)
    if soft != unlimited and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return ENOUGH_FILES if soft == unlimited else soft
