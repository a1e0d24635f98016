"""What read models stand on, applied after the ledger's own migrations: steps, then the models."""

from ledger.store.migrate import Migration, migrations
from projections.model import creation, digest
from projections.read_models import READ_MODELS


def sources() -> list[Migration]:
    """The numbered steps of this package, then a step that makes each read model where it is not.

    That step's name holds the digest of what it reads: a release that changes a read model has a
    new step, which finds the model there and leaves it to a rebuild.
    """
    models = [
        Migration(f"projections/{model.name}_{digest(model)}", creation(model, model.name))
        for model in READ_MODELS
    ]
    return [*migrations("projections.migrations"), *models]
