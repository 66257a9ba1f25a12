"""Members, their roles and access tokens, from the command line."""

import json

from coldstream.tests.platform.cli.conftest import Run


def test_a_member_is_made_given_a_role_and_deleted(run: Run) -> None:
    status, out, _ = run("member", "create", "ann@example.com")
    assert status == 0
    assert "temporary, shown this once" in out
    assert run("grant", "create", "default/default", "ann@example.com", "developer")[:2] == (
        0,
        "ann@example.com has role developer in default/default\n",
    )
    assert run("grant", "create", "default", "ann@example.com", "auditor")[0] == 0
    shown = run("member", "show", "ann@example.com")[1]
    assert "temporary password" in shown
    assert "auditor in default\n" in shown and "developer in default/default\n" in shown
    listed = run("grant", "list", "default")[1]
    assert listed.splitlines()[0].split() == ["MEMBER", "ROLE", "NAMESPACE", "GIVEN", "BY"]
    assert run("grant", "delete", "default", "ann@example.com", "auditor")[0] == 0
    assert run("grant", "delete", "default", "ann@example.com", "auditor")[:2] == (1, "")
    assert run("member", "delete", "ann@example.com")[0] == 0
    assert run("member", "show", "ann@example.com")[0] == 1


def test_a_member_is_altered(run: Run) -> None:
    run("member", "create", "bob", "--platform-admin")
    assert run("member", "alter", "bob")[0] == 2
    assert run("member", "alter", "bob", "--disable", "--enable")[0] == 2
    altered = json.loads(run("member", "alter", "bob", "--disable", "--no-platform-admin", "--json")[1])
    assert (altered["disabled"], altered["platform_admin"]) == (True, False)
    assert "disabled" in run("member", "list")[1]
    first = json.loads(run("member", "reset-password", "bob", "--json")[1])["password"]
    assert json.loads(run("member", "reset-password", "bob", "--json")[1])["password"] != first
    status, _, said = run("member", "alter", "admin", "--no-platform-admin")
    assert (status, "the last who administers the platform" in said) == (1, True)


def test_a_place_is_a_tenant_or_a_namespace(run: Run) -> None:
    for place in ("/default", "default/", "a/b/c"):
        status, _, said = run("grant", "create", place, "admin", "auditor")
        assert (status, "TENANT or TENANT/NAMESPACE" in said) == (2, True)
    status, _, said = run("grant", "create", "default/default", "admin", "tenant-admin")
    assert (status, "for a whole tenant" in said) == (1, True)


def test_a_token_is_made_used_and_revoked(run: Run) -> None:
    made = json.loads(run("token", "create", "laptop", "--json")[1])
    assert made["token"]["expires_at"] is not None
    assert run("tenant", "list", "--token", made["secret"])[0] == 0
    lines = run("token", "list")[1].splitlines()
    assert any(made["id"] in line and "active" in line for line in lines)
    assert run("token", "revoke", made["id"])[0] == 0
    assert run("tenant", "list", "--token", made["secret"])[0] == 1
    assert any(made["id"] in line and "revoked" in line for line in run("token", "list")[1].splitlines())
    for_ever = json.loads(run("token", "create", "server", "--expires", "never", "--json")[1])
    assert for_ever["token"]["expires_at"] is None
