"""What can be wrong with a request."""

from node.errors import NodeError


class AccountError(NodeError):
    """An account cannot be made, changed or found; the message says why."""


class NotLoggedInError(NodeError):
    """The request shows no session and no token that is valid now."""


class NotAllowedError(NodeError):
    """Who asks has not the role for it, or the request does not come from a page of ours."""


class ConflictError(NodeError):
    """Somebody else has done something since, or does it now; nothing was changed."""
