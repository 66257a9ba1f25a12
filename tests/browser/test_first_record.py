"""A newcomer signs in, makes a topic and a key, pastes what the page says, and sees the first record on the screen."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from coldstream.tests.browser.visitor import NARROW, SCREENS, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import PASSWORD, Seeded
from coldstream.tests.virtual_cluster import fresh

INTERACTIONS_MAX = 12
TERMINAL_S = 30.0


@pytest.mark.parametrize("screen", [*SCREENS, NARROW], ids=str)
def test_from_the_sign_in_to_the_first_record(
    visit: Callable[..., Visitor], world: Seeded, tmp_path: Path, screen: Screen
) -> None:
    topic = fresh("first")
    visitor = visit(None, screen)
    visitor.open("/")
    visitor.fill("input[name=name]", world.people["local"].name)
    visitor.fill("input[name=password]", PASSWORD)
    visitor.submit("input[name=password]")
    visitor.click("main a[href$='/first-record'] >> nth=0")
    visitor.fill("input[name=topic]", topic)
    visitor.submit("input[name=topic]")
    visitor.page.locator("#snippet-kcat").wait_for()
    assert f"The topic {topic} is made" in visitor.page.inner_text("main")
    snippet = copied(visitor, "snippet-kcat")
    visitor.paste("the snippet into a terminal")
    visitor.paste("and Enter there")
    run_in_a_terminal(snippet, tmp_path)
    if not screen.scripts:
        visitor.click("text=Look for the record now")
    arrived = visitor.page.locator(".arrival .record")
    arrived.wait_for()
    assert sent_by(snippet) in arrived.inner_text()
    assert len(visitor.interactions) <= INTERACTIONS_MAX, visitor.interactions
    print(f"{screen}: {len(visitor.interactions)} interactions: {'; '.join(visitor.interactions)}")
    assert secret_of(snippet) not in visitor.page.url


def test_a_snippet_for_python_is_a_whole_program(visit: Callable[..., Visitor], world: Seeded, tmp_path: Path) -> None:
    visitor = visit("local", NARROW)
    visitor.open(world.path("/n/{tenant}/{namespace}/first-record"))
    visitor.fill("input[name=topic]", fresh("first"))
    visitor.submit("input[name=topic]")
    snippet = visitor.page.locator("#snippet-confluent-kafka")
    visitor.click(visitor.page.locator("details.snippet", has=snippet).locator("summary"))
    program = tmp_path / "program.py"
    program.write_text(copied(visitor, "snippet-confluent-kafka"))
    subprocess.run([sys.executable, program], check=True, timeout=TERMINAL_S, capture_output=True)
    visitor.page.locator(".arrival .record").wait_for()


def test_who_comes_back_before_the_record_goes_on_waiting(
    visit: Callable[..., Visitor], world: Seeded, tmp_path: Path
) -> None:
    """The page with the secret is left; the one of the topic waits as well, and knows no secret."""
    visitor = visit("local", WIDE)
    topic = fresh("first")
    visitor.open(world.path("/n/{tenant}/{namespace}/first-record"))
    visitor.fill("input[name=topic]", topic)
    visitor.submit("input[name=topic]")
    visitor.page.locator("#snippet-kcat").wait_for()
    snippet = copied(visitor, "snippet-kcat")
    visitor.click("text=Look for the record now")
    visitor.page.locator(".waiting").wait_for()
    assert secret_of(snippet) not in visitor.page.content()
    run_in_a_terminal(snippet, tmp_path)
    visitor.page.locator(".arrival .record").wait_for()


def test_the_name_is_checked_as_it_is_typed(visit: Callable[..., Visitor], world: Seeded) -> None:
    visitor = visit("local", WIDE)
    visitor.open(world.path("/n/{tenant}/{namespace}/first-record"))
    visitor.fill("input[name=topic]", "no spaces")
    visitor.page.wait_for_selector("input[name=topic][aria-invalid=true]")
    assert "only letters" in visitor.page.inner_text("#f-topic-says")
    with visitor.expecting(422):
        visitor.submit("input[name=topic]")
        visitor.page.wait_for_load_state()
    assert visitor.page.input_value("input[name=topic]") == "no spaces", "what was typed is there again"


def copied(visitor: Visitor, element: str) -> str:
    """A snippet as it comes to a terminal: by its Copy button, or marked by hand where scripts are off."""
    shown = str(visitor.page.locator(f"#{element}").evaluate("(element) => element.textContent"))
    if visitor.screen.scripts:
        visitor.click(f"[data-copy='{element}']")
        visitor.page.locator(f"[data-copy='{element}']:has-text('Copied')").wait_for()
        assert visitor.page.evaluate("navigator.clipboard.readText()") == shown
    else:
        visitor.click(f"#{element}")
    return shown


def run_in_a_terminal(snippet: str, directory: Path) -> None:
    """Exactly what the page says, in a shell."""
    if shutil.which("kcat") is None:
        if os.environ.get("COLDSTREAM_REQUIRE_PARTS") == "1":
            pytest.fail("no kcat here: apt-get install kcat (COLDSTREAM_REQUIRE_PARTS=1 says that it must be there)")
        pytest.skip("no kcat here: apt-get install kcat")
    done = subprocess.run(["bash", "-ec", snippet], cwd=directory, capture_output=True, timeout=TERMINAL_S, text=True)
    assert done.returncode == 0, done.stderr


def sent_by(snippet: str) -> str:
    """The text that the snippet's `echo` writes."""
    return subprocess.run(["bash", "-c", snippet.partition("|")[0]], capture_output=True, text=True).stdout.strip()


def secret_of(snippet: str) -> str:
    return snippet.partition("sasl.password=")[2].split()[0].strip("'\"")
