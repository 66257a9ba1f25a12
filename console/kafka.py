"""The console as a Kafka client: what a namespace's broker says of its topics and groups, over the wire like anybody's.

One connection per question, closed after the answer: a token is for one namespace, and a thousand namespaces would be a
thousand connections. Whatever goes wrong is BrokerUnavailable with a sentence for the reader; a page or an API answer
shows it instead of figures.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from . import kafka_connection, namespace_survey
from .figures import NOTHING_KNOWN, GroupFigures, NamespaceFigures, PartitionFigures, TopicFigures
from .kafka_connection import BrokerAddress, BrokerRefused, BrokerUnavailable

__all__ = [
    "NOTHING_KNOWN",
    "BrokerClient",
    "BrokerRefused",
    "BrokerUnavailable",
    "GroupFigures",
    "NamespaceFigures",
    "PartitionFigures",
    "TopicFigures",
]


class BrokerClient:
    """Where the broker is, and how to sign in there. Holds no connection."""

    def __init__(self, host: str, port: int, cluster_secret_path: Path, tls_cert: Path | None = None) -> None:
        self.address = BrokerAddress(host, port, cluster_secret_path, tls_cert)

    async def accepts(self) -> bool:
        """Whether something takes connections there."""
        return await self.address.accepts()

    def token(self, namespace_id: UUID, role: str, now_ms: int) -> str:
        """A token for the Kafka port. Raises BrokerUnavailable when there is no cluster secret to sign it with."""
        return self.address.token(namespace_id, role, now_ms)

    async def figures(self, namespace_id: UUID, topic: str, partitions: int) -> dict[int, PartitionFigures]:
        """What the broker says of partitions 0 to `partitions` - 1, but for times. Raises BrokerUnavailable."""
        deadline_s = kafka_connection.DEADLINE_S
        with kafka_connection.plainly(deadline_s):
            async with asyncio.timeout(deadline_s), self.address.signed_in(namespace_id) as conversation:
                survey = namespace_survey.Survey(conversation, {topic: partitions})
                await survey.look_at_logs()
        return dict(enumerate(survey.topics()[topic].partitions))

    async def namespace_figures(
        self, namespace_id: UUID, topics: Mapping[str, int], known: NamespaceFigures | None = None
    ) -> NamespaceFigures:
        """What the broker says of all these topics (names with partition counts) and of the namespace's groups.

        `known`, from an earlier look, saves questions: see `namespace_survey`. Takes its time, with pauses in which the
        broker serves others; what cannot change without being noticed is not asked again. Raises BrokerUnavailable.
        """
        async with self.address.signed_in(namespace_id, paced=True) as conversation:
            survey = namespace_survey.Survey(conversation, topics, known)
            await survey.look_at_logs()
            await survey.look_at_groups()
            await survey.look_at_times()
            return survey.figures()

    async def groups(self, namespace_id: UUID) -> list[GroupFigures]:
        """The namespace's groups by name, with their lag, now. Raises BrokerUnavailable."""
        async with self.address.signed_in(namespace_id) as conversation:
            survey = namespace_survey.Survey(conversation, {})
            await survey.look_at_groups()
        found = survey.figures()
        if found.groups is None:
            raise BrokerUnavailable(found.groups_missing_because or "the broker does not answer for groups")
        return list(found.groups)
