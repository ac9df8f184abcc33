"""Pages of documentation as programs: their fenced blocks, and a run of them in page order.

`python pages.py PAGE` runs a page in the folder it is called in: `sh` by bash, `python` in one
namespace, and a block with a title is first written to a file of that name. A comment before a
block, `<!-- not run: REASON -->`, leaves it out.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

MARK = re.compile(r"<!-- not run: ([\w-]+) -->\s*")
TITLE = re.compile(r'title="([^"]+)"')
NOT_CODE = "text"
FILES = ("toml", "diff", "c")
"""Languages of blocks that are only written."""
LANGUAGES = ("sh", "python", NOT_CODE, *FILES)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block.

    Args:
        page: Where it stands.
        line: Of its first line of code, from 1.
        language: The first word behind its fence.
        title: The file that it is; empty for none.
        reason: Why it is not run; empty where it is.
        text: Its lines.
    """

    page: Path
    line: int
    language: str
    title: str
    reason: str
    text: str

    @property
    def place(self) -> str:
        """Its file and line, for messages."""
        return f"{self.page.name}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether a run of the page has something to do for it."""
        return self.language != NOT_CODE and not self.reason

    @property
    def commands(self) -> list[list[str]]:
        """Words of every `spikeproof` command of a shell block, its own name left out."""
        lines = self.text.replace("\\\n", " ").splitlines() if self.language == "sh" else []
        calls = (line.split(" #")[0].strip() for line in lines)
        return [call.split()[1:] for call in calls if call.split()[:1] == ["spikeproof"]]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    found, before = [], ""
    for token in tokens:
        if token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            mark, title = MARK.fullmatch(before), TITLE.search(rest)
            found.append(
                Block(
                    page=page,
                    line=(token.map or [0])[0] + 2,
                    language=language,
                    title=title.group(1) if title else "",
                    reason=mark.group(1) if mark else "",
                    text=token.content,
                )
            )
        before = token.content if token.type == "html_block" else ""
    return found


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Does what a block says, in this folder and, if it is Python, with `names`.

    Raises:
        CalledProcessError: If the shell ends with another code than 0.
    """
    if block.title:
        Path(block.title).write_text(block.text, encoding="utf-8")
    elif block.language == "sh":
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=True)
    elif block.language == "python":
        # As many lines on top as stand above it, so that a traceback names the page's.
        code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
        exec(code, names)


def run_page(page: Path) -> None:
    """Runs a page from top to bottom."""
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.is_run:
            sys.stdout.write(f"== {block.place}\n")
            sys.stdout.flush()
            run_block(block, names)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
