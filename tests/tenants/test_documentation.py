"""docs/tenancy.md is held against the code."""

import re
from pathlib import Path

from coldstream.tenants.keys import TOKEN_PATTERN
from coldstream.tenants.models import PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, TOPICS_MAX
from coldstream.tenants.roles import Role
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
