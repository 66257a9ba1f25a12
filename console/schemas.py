"""What the HTTP API takes and gives, as types: requests are checked against them, the OpenAPI document is made of them.

Requests refuse fields they do not know. Times are RFC 3339 in UTC. Names are checked here for shape and by the services
for meaning, which say more clearly what is wrong with them. In queries what is not given is UNSET: there is no null.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

INT32_MAX = 2**31 - 1
TEXT = r"^[ -~]*$"  # printable ASCII: what every name, pattern and config value is made of

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=TEXT)]
TopicName = Annotated[str, Meta(min_length=1, max_length=249, pattern=TEXT)]
PatternText = Annotated[str, Meta(min_length=1, max_length=250, pattern=TEXT, description="a name, `prefix*` or `*`")]
ConfigName = Annotated[str, Meta(max_length=100, pattern=TEXT)]
ConfigText = Annotated[str, Meta(max_length=1000, pattern=TEXT)]
Configs = Annotated[dict[ConfigName, ConfigText], Meta(max_length=100)]
Limit = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Time = Annotated[datetime, Meta(tz=True)]
RoleName = Literal["producer", "consumer", "developer", "viewer-metadata", "viewer-data", "admin"]


class Request(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class Answer(Struct, kw_only=True):
    """Base of everything the API answers."""


class PreferencesView(Answer):
    """How a member wants to see the console. `time_zone` is an IANA name; `shortcuts`: single keys lead somewhere."""

    theme: Literal["auto", "light", "dark"]
    time_zone: str
    times: Literal["relative", "absolute"]
    shortcuts: bool


class Me(Answer):
    """The member whose token or session this is."""

    id: str
    name: str
    platform_admin: bool
    password_temporary: bool
    preferences: PreferencesView


class AlterMe(Request):
    """Changes what is given."""

    theme: Literal["auto", "light", "dark"] | None = None
    time_zone: Annotated[str, Meta(max_length=100, pattern=TEXT)] | None = None
    times: Literal["relative", "absolute"] | None = None
    shortcuts: bool | None = None


class ChangePassword(Request):
    """`old` is the present password. All sessions of the member end."""

    old: Annotated[str, Meta(min_length=1, max_length=1024)]
    new: Annotated[str, Meta(min_length=1, max_length=1024)]


class CreateToken(Request):
    """An access token acts as its member. Without `expires_at` it works until it is revoked."""

    name: Name
    expires_at: Time | None = None


class TokenView(Answer):
    id: str
    name: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    revoked_at: Time | None


class TokenList(Answer):
    tokens: list[TokenView]


class NewToken(Answer):
    """Shown once: `secret` is what goes after `Authorization: Bearer`."""

    id: str
    secret: str
    token: TokenView


class SessionView(Answer):
    """A browser that is signed in. `current`: the one that asks."""

    id: str
    current: bool
    created_at: Time
    last_seen_at: Time
    expires_at: Time
    address: str
    user_agent: str


class SessionList(Answer):
    sessions: list[SessionView]


class CreateTenant(Request):
    name: Name


class AlterTenant(Request):
    suspended: bool


class TenantView(Answer):
    id: str
    name: str
    suspended: bool
    created_at: Time


class TenantList(Answer):
    tenants: list[TenantView]


class DeleteParent(Request):
    """`cascade` deletes the topics below too; without it their presence refuses the deletion."""

    cascade: Literal["true", "false"] = "false"


class CreateNamespace(Request):
    """`defaults` are topic configs for the namespace's topics. Limits are a platform administrator's to give."""

    name: Name
    auto_create_topics: bool = False
    defaults: Configs = {}
    topics_max: Limit | None = None
    partitions_max: Limit | None = None
    partitions_per_topic_max: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None


class AlterNamespace(Request):
    """Changes what is given. `defaults` replaces all defaults. Limits are a platform administrator's to change."""

    auto_create_topics: bool | None = None
    suspended: bool | None = None
    defaults: Configs | None = None
    topics_max: Limit | None = None
    partitions_max: Limit | None = None
    partitions_per_topic_max: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None


class NamespaceFilter(Request):
    tenant: Name | UnsetType = UNSET


class NamespaceView(Answer):
    """`cluster_id` is what Kafka clients see; `bootstrap` is where they connect."""

    id: str
    tenant: str
    name: str
    cluster_id: str
    bootstrap: str
    auto_create_topics: bool
    suspended: bool
    defaults: dict[str, str]
    topics_max: int
    partitions_max: int
    partitions_per_topic_max: int
    created_at: Time


class NamespaceList(Answer):
    namespaces: list[NamespaceView]


class CreateTopic(Request):
    """`configs` are Kafka's, as text (`retention.ms`: `86400000` or `1d`). `validate_only` checks and keeps nothing."""

    name: TopicName
    partitions: Annotated[int, Meta(ge=1, le=INT32_MAX)] = 1
    configs: Configs = {}
    validate_only: bool = False


class AlterTopic(Request):
    """Sets the configs given, returns those in `unset` to their defaults, and grows the topic to `partitions`."""

    configs: Configs = {}
    unset: Annotated[list[ConfigName], Meta(max_length=100)] = []
    partitions: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None


class TopicView(Answer):
    """`configs` holds what differs from the defaults."""

    id: str
    name: str
    partitions: int
    configs: dict[str, str]
    durability: str
    created_at: Time


class TopicList(Answer):
    topics: list[TopicView]


class PartitionView(Answer):
    """Offsets: `[log_start, end)` can be read, `[local_start, end)` is on the broker's disk. Null: not known now."""

    partition: int
    log_start: int | None
    local_start: int | None
    end: int | None
    hot_bytes: int | None
    cold_bytes: int | None


class TopicDetail(Answer):
    """A topic with what its broker says of it; where the broker cannot say, nulls and `figures_missing_because`."""

    id: str
    name: str
    partitions: list[PartitionView]
    configs: dict[str, str]
    effective_configs: dict[str, str]
    durability: str
    created_at: Time
    hot_bytes: int | None
    cold_bytes: int | None
    figures_missing_because: str | None = None


class Offload(Request):
    """Seals the active segments, moves every sealed one to the object store, and with `drop_local` evicts them."""

    drop_local: bool = False


class JobView(Answer):
    id: str
    kind: str
    state: Literal["queued", "running", "done", "failed"]
    progress: dict[str, Any]
    error: str | None
    attempts: int
    created_by: str
    created_at: Time
    updated_at: Time
    finished_at: Time | None


class CreateKey(Request):
    """A key of service account `service_account` (made if there is none; by default called as the key)."""

    name: Name
    role: RoleName
    topic_pattern: PatternText = "*"
    group_pattern: PatternText = "*"
    expires_at: Time | None = None
    service_account: Name | None = None


class RotateKey(Request):
    """The old key goes on for `overlap_ms`; the new one lives until `expires_at`."""

    overlap_ms: Annotated[int, Meta(ge=0, le=366 * 86_400_000)] = 86_400_000
    expires_at: Time | None = None


class KeyView(Answer):
    id: str
    name: str
    state: Literal["active", "expired", "revoked"]
    tenant: str
    namespace: str
    service_account: str
    service_account_id: str
    role: str
    topic_pattern: str
    group_pattern: str
    last4: str
    created_by: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    revoked_at: Time | None
    rotated_from: str | None


class KeyList(Answer):
    keys: list[KeyView]


class NewKey(Answer):
    """Shown once. `id` is the SASL username, `secret` the SASL password."""

    id: str
    secret: str
    bootstrap: str
    security_protocol: str
    sasl_mechanism: str
    key: KeyView


class ServiceAccountView(Answer):
    id: str
    name: str
    created_at: Time


class ServiceAccountList(Answer):
    service_accounts: list[ServiceAccountView]


class ConsoleToken(Answer):
    """A short-lived token for the Kafka port (SASL/OAUTHBEARER), with an administrator's rights in the namespace."""

    token: str
    bootstrap: str
    security_protocol: str
    expires_at: Time


class AuditFilter(Request):
    """Of one namespace (`tenant` and `namespace`), of a tenant with its namespaces, or of the whole platform; what fits
    every filter given, the newest first. `actor` is a name; `before` continues."""

    tenant: Name | UnsetType = UNSET
    namespace: Name | UnsetType = UNSET
    object_kind: Name | UnsetType = UNSET
    object_id: Name | UnsetType = UNSET
    actor: Name | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET


class AuditView(Answer):
    seq: int
    at: Time
    actor_kind: str
    actor: str
    action: str
    object_kind: str
    object_id: str
    object_name: str
    tenant_id: str | None
    namespace_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditList(Answer):
    entries: list[AuditView]


def time_of(ms: int) -> datetime:
    """A database time (milliseconds) as the API writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def time_of_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else time_of(ms)


def ms_of(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
