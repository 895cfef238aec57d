"""Why the node would refuse an image, as far as its header and the model's views tell."""

from pydicom import Dataset

from ai.errors import NotAChestError
from ai.stated_view import check_stated_view
from node.admission import check_admission
from node.errors import ImageError
from node.identity import identity_of
from node.supported_views import views_of
from node.view import stated_view


def header_refusal(header: Dataset, bundle: str) -> str:
    """Return why an image is refused whatever the rules say; empty: its header tells no reason.

    Args:
        header: The image, its pixels undecoded.
        bundle: Of the model that would segment it, as the settings name it.
    """
    try:
        identity_of(header)
        check_admission(header)
        check_stated_view(stated_view(header).view, views_of(bundle))
    except (ImageError, NotAChestError) as error:
        return str(error)
    return ""
