"""The handlers, one file per API family. Importing this package fills the registry."""

from . import (
    api_versions,
    cluster,
    configs,
    group_admin,
    group_membership,
    group_offsets,
    log_dirs,
    offsets,
    producer_ids,
    topics,
)

__all__ = [
    "api_versions",
    "cluster",
    "configs",
    "group_admin",
    "group_membership",
    "group_offsets",
    "log_dirs",
    "offsets",
    "producer_ids",
    "topics",
]
