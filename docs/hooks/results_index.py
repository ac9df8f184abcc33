"""The list of results, made anew with every build: each record's command, table and numbers.

MkDocs calls `on_page_markdown`. What it shows is read from `docs/results` and from nowhere else, so
a record that is added there shows up by itself.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

PAGE = "results/index.md"
MARK = "<!-- records -->"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
COMMIT = "commit"


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The page that MkDocs goes on with: of the list of results, all records in place of a mark."""
    if page.file.src_uri != PAGE:
        return markdown
    return markdown.replace(MARK, records(Path(config.docs_dir) / "results"))


def records(folder: Path) -> str:
    """Every record of a folder as Markdown, pages first, then numbers that no page explains."""
    pages = sorted(path for path in folder.glob("*.md") if path.name != "index.md")
    explained = {path.stem for path in (*pages, *folder.parent.glob("*.md"))}
    alone = sorted(path for path in folder.glob("*.json") if path.stem not in explained)
    return "\n\n".join([*map(of_page, pages), *map(of_numbers, alone)])


def of_page(path: Path) -> str:
    """A record's title, first command and first table, with the paragraph before the table."""
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].lstrip("# ")
    command, table = FENCE.search(text), TABLE.search(text)
    said = text[: table.start()].rstrip().rpartition("\n\n")[2] if table else ""
    parts = (
        f"## [{title}]({path.name})",
        command.group(0) if command else "",
        "" if said.endswith("```") else said,
        table.group(0).rstrip() if table else "",
        _picture(path.with_suffix(".svg")),
        _numbers(path.with_suffix(".json")),
    )
    return "\n\n".join(part for part in parts if part)


def of_numbers(path: Path) -> str:
    """A record that no page explains: what it says of itself."""
    what = json.loads(path.read_text(encoding="utf-8")).get("what", "")
    return "\n\n".join(part for part in (f"## {path.stem}", what, _numbers(path)) if part)


def _picture(path: Path) -> str:
    """A page's figure, where it has one."""
    return f"![{path.stem}]({path.name})" if path.exists() else ""


def _numbers(path: Path) -> str:
    """Where a page's numbers are, and which commits made them."""
    if not path.exists():
        return ""
    found = sorted(set(_commits(json.loads(path.read_text(encoding="utf-8")))))
    made = f", at commit {', '.join(found)}" if found else ""
    return f"Numbers: [{path.name}]({path.name}){made}."


def _commits(value: Any) -> Iterator[str]:
    """Every commit that a record names, at any depth."""
    if isinstance(value, dict):
        own = value.get(COMMIT)
        return chain([own] if isinstance(own, str) else [], *map(_commits, value.values()))
    return chain.from_iterable(map(_commits, value if isinstance(value, list) else ()))
