"""Every view of the log."""

from projections.journal import JOURNAL
from projections.model import ReadModel
from projections.receivables import RECEIVABLES

READ_MODELS: tuple[ReadModel, ...] = (RECEIVABLES, JOURNAL)
