"""What somebody without a right may cost others: nothing that is dear is done before the right was looked at."""

from pathlib import Path

import pytest
from coldstream.console import member_routes
from coldstream.tenants import member_grants
from coldstream.tests.console.browsing import in_seeded_world
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World


@pytest.mark.parametrize("who", ["nobody", "rival", "developer", "auditor"])
def test_who_administers_nobody_makes_the_platform_hash_and_lock_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """There is one lane for the hashes of all members, and one lock for all changes of rights."""

    async def never(*_: object) -> None:
        raise AssertionError("done for somebody who may not")

    async def scenario(world: World, seeded: Seeded) -> None:
        monkeypatch.setattr(member_routes, "generate_password", never)
        monkeypatch.setattr(member_grants, "bump", never)
        token = seeded.people[who].token
        for name in (seeded.people["watcher"].name, "no-member"):
            reset = await world.refused("POST", f"/members/{name}/reset-password", token=token)
            disabled = await world.refused("PATCH", f"/members/{name}", {"disabled": True}, token=token)
            assert reset[0] == disabled[0] == 404
            assert reset == disabled

    in_seeded_world(tmp_path, scenario)
