"""The corpus does harm where it is not escaped, and what looks for it finds it: else a page would pass for nothing."""

import html

import pytest
from coldstream.tests.browser import corpus
from coldstream.tests.browser.foreign import faults

HARMLESS_UNLESS_READ_AS_SOMETHING_ELSE = {
    "address",
    "data address",
    "spaced address",
    "template",
    "escaped already",
    "utf-7",
    "formula",
    "no quote",
    "single quote",
    "double quote",
}


@pytest.mark.parametrize("name", sorted(corpus.MARKUP.keys() - HARMLESS_UNLESS_READ_AS_SOMETHING_ELSE))
def test_raw_markup_is_found(name: str) -> None:
    assert faults(f"<p>{corpus.MARKUP[name]}</p>")


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ('<p title="{}">', "double quote"),
        ("<p title='{}'>", "single quote"),
        ("<p title={}>", "no quote"),
        ("<a href='{}'>", "address"),
        ("<a href='{}'>", "data address"),
        ("<a href='{}'>", "spaced address"),
    ],
)
def test_what_breaks_out_of_an_attribute_is_found(template: str, name: str) -> None:
    assert faults(template.format(corpus.MARKUP[name]))


@pytest.mark.parametrize("name", corpus.UNSEEN)
def test_what_cannot_be_seen_is_found(name: str) -> None:
    assert faults(f"<p>{corpus.UNSEEN[name]}</p>")


def test_a_field_gives_back_what_was_typed() -> None:
    typed = corpus.UNSEEN["isolates"]
    assert faults(f"<input value='{typed}'><textarea>{typed}</textarea>") == []
    assert faults(f"<textarea>x</textarea>{typed}") and faults(f"<p title='{typed}'>")


def test_escaped_it_is_text() -> None:
    for text in corpus.MARKUP.values():
        assert faults(f'<p title="{html.escape(text)}">{html.escape(text)}</p>') == []


def test_our_own_scripts_pass_by_their_nonce() -> None:
    page = "<script nonce=right>1</script><script src=/static/a.js nonce=right></script><a href=/x?y=1:2>x</a>"
    assert faults(page, "right") == []
    assert faults(page, "other")
