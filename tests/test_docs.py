"""Pages that describe the code are held against it."""

import re
from pathlib import Path

from coldstream.platform.wire.api import APIS

ROOT = Path(__file__).resolve().parent.parent


def test_the_compatibility_page_lists_every_offered_api_with_its_versions() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    listed = set(re.findall(r"^\| (\w+) \| (\d+)-(\d+) \|", page, re.MULTILINE))
    offered = {
        ("".join(word.capitalize() for word in api.key.name.split("_")), str(api.offered_min), str(api.offered_max))
        for api in APIS.values()
    }
    assert listed == offered


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
