"""docs/tenancy.md is held against the code."""

import re
from pathlib import Path

from coldstream.tenants.keys import TOKEN_PATTERN
from coldstream.tenants.models import PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, TOPICS_MAX
from coldstream.tenants.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from coldstream.tenants.rights import MemberRole
from coldstream.tenants.roles import Role
from coldstream.tenants.sessions import CONFIRMED_MS, IDLE_MS, MAX_MS, SESSIONS_MAX
from coldstream.tenants.sign_in_limits import FORGET_MS, ORIGIN_BURST, ORIGIN_EVERY_MS, WAIT_MAX_MS, WAIT_MIN_MS
from coldstream.tenants.topic_configs import DEFINITIONS, LONG_MAX, to_text

PAGE = (Path(__file__).parents[2] / "docs" / "tenancy.md").read_text()


def test_every_topic_config_is_documented_with_its_default_and_meaning() -> None:
    section = PAGE.partition("## Topic configs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z.]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)
    assert rows == [
        (name, "no limit" if each.default == LONG_MAX else to_text(each.default), each.doc)
        for name, each in DEFINITIONS.items()
    ]


def test_every_role_limit_and_the_token_pattern_are_documented() -> None:
    assert all(f"| `{role}` |" in PAGE for role in Role)
    assert f"`{TOKEN_PATTERN}`" in PAGE
    assert all(f"{limit:,}" in PAGE for limit in (TOPICS_MAX, PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX))


def test_members_roles_and_the_limits_of_signing_in_are_documented() -> None:
    section = " ".join(PAGE.partition("## Members")[2].partition("\n## ")[0].split())
    assert re.findall(r"\| `([a-z-]+)` \|", section) == [role.value for role in MemberRole]
    hour_ms, minute_ms = 3_600_000, 60_000
    for words in (
        f"{PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters",
        f"after {IDLE_MS // hour_ms} hours without use, after {MAX_MS // (24 * hour_ms)} days",
        f"has {SESSIONS_MAX} others",
        f"more than {CONFIRMED_MS // minute_ms} minutes ago",
        f"from {WAIT_MIN_MS // 1000} s to {WAIT_MAX_MS // 1000} s",
        f"is forgotten after {FORGET_MS // minute_ms} minutes",
        f"has {ORIGIN_BURST} failures and one more every {ORIGIN_EVERY_MS // 1000} s",
    ):
        assert words in section, words
