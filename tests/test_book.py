"""The book: its configuration, and in what was built every link, image and alternative text."""

import re
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from conftest import ROOT


class Page(HTMLParser):
    """Collect what a page offers (anchors) and what it asks for (links, images)."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.images = {""}, [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.anchors |= {named[key] for key in ("id", "name") if named.get(key)}
        self.links += [named[key] for key in ("href", "src") if named.get(key) is not None]
        if tag == "img":
            self.images.append((named.get("src", ""), named.get("alt")))


def pages_of(html: Path) -> dict[Path, Page]:
    """Return the pages of a built book; the theme's own templates are none."""
    paths = [p for p in html.rglob("*.html") if "_static" not in p.relative_to(html).parts]
    return {path.resolve(): Page(path) for path in paths}


def broken_links(html: Path) -> list[str]:
    """Return every link of a built book that leads nowhere inside it, as ``page: link``.

    Args:
        html: the folder with ``index.html``. Links that leave the book are not followed.
    """
    html, pages, broken = html.resolve(), pages_of(html), []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                broken.append(f"{path.relative_to(html)}: {link}")
    return broken


def untold_images(html: Path) -> list[str]:
    """Return every image without an alternative text, or with a file name in its place."""
    return [
        f"{path.name}: {source} ({alt!r})"
        for path, page in pages_of(html).items()
        for source, alt in page.images
        if not (alt or "").strip() or alt.endswith((".png", ".svg", ".jpg")) or alt in source
    ]


# --- the checks can fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ('<a href="b.html#there">', False),
        ('<a href="b.html#absent">', True),
        ('<a href="absent.html">', True),
        ('<a href="#here"><p id="here">', False),
        ('<a href="#absent">', True),
        ('<img src="absent.png" alt="A">', True),
        ('<a href="https://example.org/absent">', False),
    ],
)
def test_the_link_check(tmp_path, body, broken):
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<p id="there">')
    assert bool(broken_links(tmp_path)) == broken


@pytest.mark.parametrize(
    ("alt", "untold"),
    [('alt="Two galaxies."', False), ("", True), ('alt=" "', True), ('alt="x/y.png"', True)],
)
def test_the_check_of_alternative_texts(tmp_path, alt, untold):
    (tmp_path / "a.html").write_text(f'<img src="x.png" {alt}>')
    assert bool(untold_images(tmp_path)) == untold


# --- the sources --------------------------------------------------------------------------------


def toc() -> list[str]:
    content = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [c["file"] for part in content["parts"] for c in part["chapters"]]
    return [content["root"], *chapters]


def test_jupyter_book_is_the_one_that_reads_this_configuration():
    assert version("jupyter-book").startswith("1.")


@pytest.mark.parametrize("page", toc())
def test_every_page_of_the_contents_exists(page):
    suffix = ".py" if page.startswith("notebooks/") else ".md"
    assert (ROOT / f"{page}{suffix}").exists()


def test_every_page_and_chapter_is_in_the_contents():
    written = {f"book/{p.stem}" for p in (ROOT / "book").glob("*.md")}
    written |= {f"notebooks/{p.stem}" for p in (ROOT / "notebooks").glob("*.py")}
    assert written == set(toc())


@pytest.mark.parametrize("page", ["README.md", "book/how_to_read.md"])
def test_every_profile_is_told_of(page):
    text = (ROOT / page).read_text()
    names = [path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yml")]
    assert names and [name for name in names if f"`{name}" not in text] == []


# --- what was built -----------------------------------------------------------------------------


def test_every_page_was_built(smoke):
    html = smoke / "_build" / "html"
    assert (html / "index.html").exists()
    assert [page for page in toc() if not (html / f"{page}.html").exists()] == []


def test_every_link_and_image_leads_somewhere(smoke):
    assert broken_links(smoke / "_build" / "html") == []


def test_every_image_has_an_alternative_text(smoke):
    assert untold_images(smoke / "_build" / "html") == []


def test_every_figure_of_the_run_has_a_number_and_a_caption(smoke):
    html = smoke / "_build" / "html" / "notebooks"
    text = "".join(path.read_text() for path in html.glob("*.html"))
    names = [path.stem for path in (smoke / "run" / "figures").glob("*.png")]
    assert names
    assert [
        name for name in names if f'href="#{name}" title="Link to this image"' not in text
    ] == []


def test_the_files_that_the_book_names_are_those_that_a_run_leaves(smoke):
    text = (ROOT / "book" / "how_to_read.md").read_text()
    named, folder = set(), ""
    for line in text.split("runs/<name>/\n")[1].split("  metrics/")[0].splitlines():
        folder = next(iter(re.findall(r"^  (\w+)/", line)), folder)
        named |= {f"{folder}/{file}" for file in re.findall(r"\w+\.[a-z]+", line)}
    folders = ("dataset", "pretrain", "embedding", "probes", "labels")
    left = {f"{f}/{p.name}" for f in folders for p in (smoke / "run" / f).iterdir()}
    assert named == left


def test_the_landing_page_tells_the_result(smoke):
    text = (smoke / "_build" / "html" / "book" / "intro.html").read_text()
    assert "<strong>SimCLR + fully connected</strong> reaches" in text
    for rival in (
        "the same probe on PCA-64 (",
        "the same probe on random weights (",
        "the supervised CNN (",
    ):
        assert rival in text
    assert "One network was pretrained" in text


def test_the_book_says_that_its_galaxies_are_simulated(smoke):
    html = smoke / "_build" / "html" / "book"
    for page in ("intro", "results", "data_card", "provenance"):
        assert 'class="simulated"' in (html / f"{page}.html").read_text(), page
