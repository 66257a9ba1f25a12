"""What a handler raises when it can name the Kafka error; the edge turns it into the response's own shape."""

from uuid import UUID

from ..wire.errors import ErrorCode


class ApiError(Exception):
    """One Kafka error code with a sentence for the client."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def unauthorised_topic(name: str) -> ApiError:
    """No right to the name: said before looking whether it exists so that existence does not show."""
    return ApiError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"this key has no such right on topic {name!r}")


def unknown_topic(name: str) -> ApiError:
    """A right to the name, and no topic behind it."""
    return ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"no topic {name!r} in this namespace")


def unknown_topic_id(topic_id: UUID) -> ApiError:
    """An id that is not of this namespace, whoever else may have it."""
    return ApiError(ErrorCode.UNKNOWN_TOPIC_ID, f"no topic with id {topic_id} in this namespace")
