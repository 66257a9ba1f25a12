"""Where the API keeps what the command line names by path."""

from .api import in_path
from .command import split_path


def namespace_address(path: str) -> str:
    """Of `TENANT/NAMESPACE`. Raises UsageError."""
    return "/namespaces/" + "/".join(in_path(name) for name in split_path(path, 2))


def topic_address(path: str) -> str:
    """Of `TENANT/NAMESPACE/TOPIC`. Raises UsageError."""
    tenant, namespace, topic = split_path(path, 3)
    return f"/namespaces/{in_path(tenant)}/{in_path(namespace)}/topics/{in_path(topic)}"
