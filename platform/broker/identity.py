"""Who this data directory is, and the highest epoch it was ever given.

Always true: the id never changes once written; a metadata database that knows a lower epoch than the directory does is
behind (a restored backup, a lost standby), and starting on it would give out epochs and offsets twice.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from ..cluster.membership import BrokerRegistration
from ..data_dir import write_whole
from .cannot_start import CannotStart

FILE_NAME = "broker.json"


class DatabaseBehind(CannotStart):
    """The message says which epochs disagree and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What `<data>/broker.json` says."""

    data_dir_id: UUID
    cluster_id: str | None
    epoch: int


def load_identity(data_dir: Path) -> Identity:
    """The directory's identity, made at the first start. Raises CannotStart."""
    path = data_dir / FILE_NAME
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        fresh = Identity(uuid4(), None, 0)
        save_identity(data_dir, fresh)
        return fresh
    except (OSError, ValueError) as error:
        raise CannotStart(f"{path} cannot be read: {error}") from None
    try:
        return Identity(UUID(known["data_dir_id"]), known["cluster_id"], int(known["epoch"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CannotStart(f"{path} is not what a broker wrote there: {error!r}") from None


def save_identity(data_dir: Path, identity: Identity) -> None:
    """Write it whole and synced."""
    known = {"data_dir_id": str(identity.data_dir_id), "cluster_id": identity.cluster_id, "epoch": identity.epoch}
    write_whole(data_dir / FILE_NAME, json.dumps(known) + "\n")


def confirm(data_dir: Path, identity: Identity, registration: BrokerRegistration) -> None:
    """Note the new epoch. Raises DatabaseBehind when the directory has seen a later one, or another platform."""
    if identity.cluster_id is not None and identity.cluster_id != registration.cluster_id:
        raise DatabaseBehind(
            f"{data_dir} belongs to platform {identity.cluster_id}, the database to {registration.cluster_id}: "
            "give the database that belongs to this data directory"
        )
    if registration.epoch <= identity.epoch:
        raise DatabaseBehind(
            f"the database gives this broker epoch {registration.epoch}, but {data_dir} has seen {identity.epoch}: "
            "the database is older than the data directory (a restored backup?); restore the newer one"
        )
    save_identity(data_dir, Identity(identity.data_dir_id, registration.cluster_id, registration.epoch))
