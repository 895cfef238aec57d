"""What every body has in common, used against a labeller's errors: one prior after another.

Each prior takes a label map and returns a better one with what it changed, in words. Their order matters:
dust first, then the sequences that are counted on whole bones, then islands.
"""

from collections.abc import Callable

from pipeline_training.labelling.draft import Repaired
from pipeline_training.labelling.prior_pieces import no_dust, one_piece
from pipeline_training.labelling.prior_regions import keep_regions
from pipeline_training.labelling.prior_ribs import order_ribs
from pipeline_training.labelling.prior_sides import keep_sides
from pipeline_training.labelling.prior_vertebrae import order_vertebrae
from pipeline_training.volumes import LabelMap

PRIORS: tuple[Callable[[LabelMap], Repaired], ...] = (
    no_dust,
    order_vertebrae,
    keep_sides,
    order_ribs,
    one_piece,
    keep_regions,
)


def apply_priors(volume: LabelMap) -> Repaired:
    """Return the volume after all priors, and all that they changed."""
    changes: list[str] = []
    for prior in PRIORS:
        repaired = prior(volume)
        volume = repaired.volume
        changes += repaired.changes
    return Repaired(volume, tuple(changes))
