"""Images that no rule matches: they are kept and not worked on, which who writes one rule may not expect."""

import textwrap

from config.rules import Rule
from config.settings import Settings
from node.rule_words import wanted_words

MOST_NAMED = 5
"""Rules whose conditions are told; a person reads the others in the file."""

LONGEST = 120
"""Characters of one rule's conditions that are told."""


def unmatched_warning(settings: Settings) -> str:
    """Return which images stay unmatched, and the rule to add; empty: every image is matched, or no rule is.

    >>> unmatched_warning(Settings())
    ''
    """
    if not settings.rule or any(not rule.when for rule in settings.rule):
        return ""
    named = [_words(rule) for rule in settings.rule[:MOST_NAMED]]
    more = len(settings.rule) - len(named)
    others = f"; and those of {more} more" if more else ""
    return (
        f"every image but these stays unmatched, kept and not worked on: {'; '.join(named)}{others}. "
        "To have the others worked on, add a last rule without conditions: [[rule]], and below it "
        'name = "everything-else"'
    )


def _words(rule: Rule) -> str:
    conditions = " and ".join(wanted_words(each) for each in rule.when)
    return f"{textwrap.shorten(conditions, LONGEST, placeholder=' ...')} (rule {rule.name})"
