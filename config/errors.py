"""What can go wrong with settings.

ConfigError
└── SettingsError          settings that cannot be used; the node does not start with them
"""


class ConfigError(Exception):
    """The root of this package's errors."""


class SettingsError(ConfigError):
    """Settings cannot be used; the message names the place, the key, the rule and the value found."""
