"""What a tenancy service can refuse, one class per reason.

Every message says what was wrong, which limit it met and what to do; it names nothing of another tenant and no secret.
Callers at the edge (Kafka error codes, HTTP statuses) choose by class; nothing in between parses messages.
"""


class TenancyError(Exception):
    """A request that cannot be carried out as given."""


class InvalidName(TenancyError):
    """A tenant, namespace, service account, key or member name that breaks the naming rules."""


class InvalidTopicName(InvalidName):
    """A topic name Kafka would refuse, for itself or for its likeness to another (INVALID_TOPIC_EXCEPTION)."""


class InvalidPattern(TenancyError):
    """A topic or group pattern that is neither a literal nor a prefix followed by one `*`."""


class InvalidPartitions(TenancyError):
    """A partition count outside the namespace's limits (INVALID_PARTITIONS)."""


class InvalidConfig(TenancyError):
    """A topic config that is unknown, malformed, out of range or not offered (INVALID_CONFIG)."""


class InvalidArgument(TenancyError):
    """Any other argument outside its documented range."""


class AlreadyExists(TenancyError):
    """A live object of that name is already there."""


class TopicExists(AlreadyExists):
    """A live topic of that name is already there (TOPIC_ALREADY_EXISTS)."""


class NotFound(TenancyError):
    """No live object of that name or id that the caller may know of."""


class NotEmpty(TenancyError):
    """A tenant or namespace that still has live topics; delete those first or ask for a cascade."""


class QuotaExceeded(TenancyError):
    """A limit on how much a namespace may hold (POLICY_VIOLATION)."""


class Conflict(TenancyError):
    """The object is in a state that does not allow the change (revoked key, finished job)."""


class Busy(TenancyError):
    """More of a costly kind of work is asked for at once than this process does; ask again in a moment."""


class LeaseLost(TenancyError):
    """A job that this owner no longer holds: its lease ran out and another took it, or it was finished."""


class DatabaseUnfit(TenancyError):
    """A metadata database that cannot keep the promises made on it; the message says which setting to change."""


class InvalidDatabaseUrl(TenancyError):
    """A `--database` URL that names no database we can use."""
