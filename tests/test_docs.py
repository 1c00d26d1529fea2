"""The documentation, executed: its programs run, its commands parse, its links lead somewhere, its tables are true.

The tables of docs/choosing.md are written from the code:  python tests/test_docs.py
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pictokg import catalogue
from pictokg.config import FIXED, LARGE_GRAPH, SMALL_GRAPH, configure, parse_setting

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CHOOSING = ROOT / "docs" / "choosing.md"
MADE_LATER = {ROOT / "docs" / "report.png"}  # a picture of the demo's report; the demo makes it, not a test
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# Programs, configurations and commands


@pytest.fixture(scope="session")
def small_glyphs(tmp_path_factory):
    """A part of the embedded data set: Latin letters, with and without accents."""
    from pictokg.datasets.glyphs import generate

    folder = tmp_path_factory.mktemp("docs") / "glyphs"
    generate(folder, characters=map(chr, [*range(0x41, 0x7B), *range(0xC0, 0x100)]))
    return folder


@pytest.fixture
def workplace(small_glyphs, tmp_path, monkeypatch):
    """An empty folder to stand in, where the data that pages speak of are small."""
    for name in ("glyphs", "my-folder"):
        (tmp_path / name).symlink_to(small_glyphs)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pages
@pytest.mark.usefixtures("workplace")
def test_page_runs(page):
    """Run the blocks of a page in order: Python in one namespace, TOML as configurations, commands parsed only.

    A block of Python or TOML that starts with a file's name, as `# mine.py`, is written to that file; the blocks after
    it use it.
    """
    text, namespace = page.read_text(encoding="utf-8"), {"__name__": "docs"}
    for block in BLOCK.finditer(text):
        language, content = block.groups()
        before = text[: block.start(2)].count("\n")
        file = re.match(r"# ([\w-]+\.(?:py|toml))\n", content)
        if file:
            Path(file[1]).write_text(content, encoding="utf-8")
        if language == "python" and not file:
            program = compile("\n" * before + content, str(page), "exec", dont_inherit=True)
            exec(program, namespace)
        elif language == "toml":
            assert file, (
                f"{page.name}, line {before + 1}: the first line of a configuration names its file: # mine.toml"
            )
            configure(file=Path(file[1]))
        elif language == "sh":
            for words in commands(content):
                check_command(words)


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a shell block, comments taken off and continued lines joined."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def check_command(words: list[str]) -> None:
    """Check that a command of ours exists and takes its options, without running it."""
    if words[0] == "pictokg":
        check_verb(words[1:])
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
        files = [words[2].replace(".", "/") + ".py", *(word for word in words[3:] if word.endswith(".toml"))]
        assert [file for file in files if not (ROOT / file).is_file()] == [], words
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), words


def check_verb(words: list[str]) -> None:
    """Parse a command line of pictokg as far as typer does; for training, also every choice."""
    from typer.main import get_command

    from pictokg.cli.app import app

    if words[-1] == "--help":
        words = words[:-1]
    if not words:
        return
    verbs = get_command(app).commands
    assert words[0] in verbs, f"there is no verb {words[0]!r}"
    if len(words) == 1:
        return
    given = verbs[words[0]].make_context(words[0], words[1:]).params
    if words[0] == "train":
        parts = {"sampler": given["sampler"], "loss": given["loss"]}
        settings = [parse_setting(setting) for setting in given["settings"] or []]
        file = given["config"]  # of the page itself, or of the project, as recipes are
        file = ROOT / file if file and not file.exists() else file
        configure(given["model"] or None, file=file, parts=parts, settings=settings)


# Links


@pages
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if file in MADE_LATER:
            continue
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}; there are {sorted(anchors(file))}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []


def test_the_map_shows_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "pictokg").glob("*/__init__.py")]
    assert [name for name in packages if f"[{name}](../pictokg/{name})" not in text] == []


# Tables


def test_tables_say_what_the_code_says():
    page = CHOOSING.read_text(encoding="utf-8")
    assert with_tables(page) == page, "write the tables anew: python tests/test_docs.py"


def test_every_part_has_its_table():
    sections = {section for _, section, _ in TABLE.findall(CHOOSING.read_text(encoding="utf-8"))}
    assert sections == {*catalogue.PACKAGES, *FIXED}


def test_sizes_are_those_of_the_code():
    page = CHOOSING.read_text(encoding="utf-8")
    assert f"fewer than {SMALL_GRAPH:,} training triples and of more than {LARGE_GRAPH:,} entities" in page


def with_tables(page: str) -> str:
    """The page with its tables written from the code."""
    return TABLE.sub(lambda found: found[1] + "\n".join(table(found[2])) + "\n" + found[3], page)


def table(section: str) -> Iterator[str]:
    """Lines of the table of a section: its parts with their options, or its options with their meaning."""
    if section in FIXED:
        yield from ("| option | default | meaning |", "| --- | --- | --- |")
        meaning = attributes(FIXED[section])
        for name, parameter in catalogue.options_of(FIXED[section]).items():
            yield f"| `{name}` | {value(parameter.default)} | {meaning[name]} |"
        return
    more = " trained by default with |" if section == "model" else ""
    yield f"| {section} | what it is | options and defaults |{more}"
    yield "| --- | --- | --- |" + (" --- |" if more else "")
    for name in catalogue.names(section):
        builder, module = catalogue.find(section, name), catalogue.module_of(section, name)
        options = " ".join(
            f"`{option}={value(parameter.default).strip('`')}`"
            for option, parameter in catalogue.options_of(builder).items()
        )
        line = f"| `{name}` | {(inspect.getdoc(module) or '').splitlines()[0]} | {options or '–'} |"
        if more:
            defaults = [f"`{options['name']}`" for options in module.DEFAULTS.values() if "name" in options]
            line += f" {' '.join(defaults)} |"
        yield line


def value(default: object) -> str:
    """A default as TOML and --set write it; a dash where there is none."""
    if default is None or default == "":
        return "–"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def attributes(cls: type) -> dict[str, str]:
    """Name → meaning, from the part "Attributes:" of a docstring; one line may tell of several names."""
    _, _, text = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    text = re.sub(r"\n {6,}", " ", text)
    pairs = [
        part.split(": ", 1) for line in text.splitlines() for part in re.split(r"(?<=[.;]) (?=\w+: )", line.strip())
    ]
    return {name: meaning.rstrip(".;") for name, meaning in pairs}


# Examples in docstrings

WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "pictokg").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


if __name__ == "__main__":
    CHOOSING.write_text(with_tables(CHOOSING.read_text(encoding="utf-8")), encoding="utf-8")
