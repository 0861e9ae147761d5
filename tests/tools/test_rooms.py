from tools import rooms


def of_the_machine(page):
    """What a problem imports is its own affair; the rest of the picture is the machine's."""
    return [line for line in page.splitlines() if not line.startswith("  problem -->") and " rooms, " not in line]


def test_the_page_shows_the_rooms_as_they_are():
    assert of_the_machine(rooms.PAGE.read_text(encoding="utf-8")) == of_the_machine(rooms.page()), "run make rooms"


def test_an_arrow_that_the_page_lacks_is_found(tmp_path, monkeypatch):
    shown = rooms.PAGE.read_text(encoding="utf-8")
    stale = tmp_path / "architecture.md"
    stale.write_text(shown.replace("  promotion_steps --> evaluation_steps\n", ""), encoding="utf-8")
    monkeypatch.setattr(rooms, "PAGE", stale)
    assert of_the_machine(stale.read_text(encoding="utf-8")) != of_the_machine(rooms.page())
    assert of_the_machine(rooms.page()) == of_the_machine(shown)
