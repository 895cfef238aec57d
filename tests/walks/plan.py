"""The plan: every block of commands in the documentation, and how it is run."""

from tests.walks.node_pages import NODE_PAGES
from tests.walks.system_pages import SYSTEM_PAGES
from tests.walks.training_pages import TRAINING_PAGES

PLAN = (*SYSTEM_PAGES, *NODE_PAGES, *TRAINING_PAGES)
