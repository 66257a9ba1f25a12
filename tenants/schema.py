"""Naming rules and column types that every table of the metadata database shares, whichever folder declares it.

Always true: constraints are named by rule (so that a migration can drop them), integers are 64 bits, ids are random
UUIDs, times are milliseconds since the epoch in columns ending `_ms`, and enums are text with a check constraint.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, LargeBinary, MetaData, Text, Uuid
from sqlalchemy.orm import DeclarativeBase

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
JsonObject = dict[str, Any]
COLUMN_TYPES: dict[Any, Any] = {
    int: BigInteger,
    str: Text,
    bytes: LargeBinary,
    UUID: Uuid,
    JsonObject: JSON(none_as_null=True),
}


class Base(DeclarativeBase):
    """Base of the tenancy tables; other folders make a base of their own on METADATA with COLUMN_TYPES."""

    metadata = METADATA
    type_annotation_map: ClassVar[dict[Any, Any]] = COLUMN_TYPES


def one_of(column: str, values: type[StrEnum] | Iterable[str]) -> CheckConstraint:
    """The check constraint that makes a text column an enum."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")
