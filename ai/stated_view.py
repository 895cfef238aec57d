"""Whether a model supports the view that the source states; nothing else of a picture is looked at."""

from collections.abc import Collection

from ai.errors import NotAChestError
from ai.radiograph import View


def check_stated_view(view: View, views: Collection[str]) -> None:
    """Raise NotAChestError if the source states a lateral view and the model supports none."""
    if view.is_lateral and "lateral" not in views:
        raise NotAChestError(
            f"the view is stated to be lateral ({view}); this model supports frontal views only"
        )
