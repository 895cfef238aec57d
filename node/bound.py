"""What is bound when a process starts, and stays as it is until the next start, whatever the settings say."""

from config.settings import Settings

BOUND = (
    ("node", "data_dir"),
    ("node", "host"),
    ("node", "port"),
    ("database", "url"),
    ("model", "bundle"),
    ("model", "threads"),
    ("model", "batch"),
    ("worker", "count"),
    ("worker", "lease_s"),
    ("tls", "port"),
    ("tls", "only"),
    ("web", "enabled"),
    ("web", "host"),
    ("web", "port"),
    ("web", "trusted_proxies"),
    ("console", "enabled"),
)
"""Section and key of what takes effect after a restart."""


def waiting(running: Settings, wanted: Settings) -> tuple[str, ...]:
    """Return what of the wanted settings takes effect only after a restart, such as "node.port".

    Args:
        running: What the process goes by.
        wanted: What the file says.
    """
    differing = [
        f"{section}.{key}"
        for section, key in BOUND
        if getattr(getattr(running, section), key) != getattr(getattr(wanted, section), key)
    ]
    if _bundles(wanted) - _bundles(running):
        differing.append("rule.model")
    if _turns_tls(running, wanted):
        differing = ["tls (turned on or off)", *(name for name in differing if not name.startswith("tls."))]
    return tuple(differing)


def in_effect(running: Settings, wanted: Settings) -> Settings:
    """Return the wanted settings with what is bound as it is running."""
    changes = {}
    for section in dict.fromkeys(section for section, _ in BOUND):
        bound = {key: getattr(getattr(running, section), key) for name, key in BOUND if name == section}
        changes[section] = getattr(wanted, section).model_copy(update=bound)
    if _turns_tls(running, wanted):
        changes["tls"] = running.tls
    if _bundles(wanted) - _bundles(running):
        changes |= {"rule": running.rule, "routing": running.routing}
    return wanted.model_copy(update=changes)


def _bundles(settings: Settings) -> set[str]:
    """Return the bundles that rules name: they are loaded at the start, and rules that name others wait."""
    return {rule.model for rule in settings.rule if rule.model}


def _turns_tls(running: Settings, wanted: Settings) -> bool:
    """Return whether there is a port more or less: then all of `[tls]` waits, for it belongs together."""
    return bool(running.tls.certificate) != bool(wanted.tls.certificate)
