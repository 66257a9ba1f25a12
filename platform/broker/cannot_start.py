"""Why a broker cannot start, in one sentence that names the setting or file and what to do about it."""

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...storage.cold_worker import ColdWorkerUnavailable
from ...storage.errors import LogError
from ...storage.object_store import ObjectStoreError
from ...storage.store_url import InvalidStoreUrl
from ...tenants.errors import TenancyError
from ..cluster.errors import BrokerFenced


class CannotStart(Exception):
    """Something around the broker is not as it has to be; the message is the sentence."""


EXPECTED = (CannotStart, TenancyError, InvalidStoreUrl, ObjectStoreError, ColdWorkerUnavailable, LogError, BrokerFenced)


def sentence(error: Exception) -> str:
    """What to tell whoever started the broker."""
    if isinstance(error, DBAPIError):
        return f"the metadata database (setting database) cannot be used: {error.orig}"
    if isinstance(error, SQLAlchemyError):
        return f"the metadata database (setting database) cannot be used: {error}"
    return str(error) or type(error).__name__


def is_mistake(error: Exception) -> bool:
    """Whether the log should have the whole traceback: it is ours, and no state of the machine."""
    return not isinstance(error, (*EXPECTED, SQLAlchemyError, OSError))
