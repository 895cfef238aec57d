"""What people may do in the console."""

from enum import StrEnum


class Role(StrEnum):
    """What an account may do; each may do what those before it may."""

    VIEWER = "viewer"  # sees everything but the audit
    OPERATOR = "operator"  # sends again, runs again, lets go
    ADMIN = "admin"  # changes settings, sees who did what

    def may(self, least: "Role") -> bool:
        """Return whether this role is enough where `least` is asked for.

        >>> Role.ADMIN.may(Role.OPERATOR), Role.VIEWER.may(Role.OPERATOR)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(least)
