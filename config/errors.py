"""What can go wrong with settings.

ConfigError
└── SettingsError          settings that cannot be used; the node does not start with them
    └── SettingsChangedError    the active file is not what somebody began with
"""


class ConfigError(Exception):
    """The root of this package's errors."""


class SettingsError(ConfigError):
    """Settings cannot be used; the message names the place, the key, the rule and the value found."""


class SettingsChangedError(SettingsError):
    """The active file is not the one that a text was made from; nothing was written."""
