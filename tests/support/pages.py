"""The pages that people read: their texts, and the blocks of commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")])
_PARSED_ONLY = re.compile(r"<!-- parsed only: (.+) -->")


def text_of(name: str) -> str:
    """A page by its path in the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """An indented block of a page, which is one or more commands.

    Attributes:
        page: where it stands.
        line: its first line there, from 1.
        text: its lines without the indent.
        reason: why it is not run; empty for one that is.
    """

    page: str
    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of commands of a page: indented by four, between empty lines, outside fences and lists."""
    lines = page.read_text(encoding="utf-8").splitlines()
    name, fenced, begin, before = str(page.relative_to(ROOT)), False, None, ""
    for number, line in enumerate([*lines, ""]):
        fenced ^= line.startswith("```")
        if begin is None and not fenced and line.startswith("    ") and not lines[number - 1]:
            begin = number
        elif begin is not None and not line:
            reason = _PARSED_ONLY.fullmatch(before)
            text = "\n".join(each.removeprefix("    ") for each in lines[begin:number])
            yield Block(name, begin + 1, text, reason[1] if reason else "")
            begin = None
        if line and begin is None:
            before = line


@dataclass(frozen=True)
class Command:
    """One program of a block.

    Attributes:
        words: its name and arguments.
        reads: whether the output of the command before comes in through a pipe.
        target: the file that its output goes to, or empty.
    """

    words: list[str]
    reads: bool = False
    target: str = ""


def commands(text: str) -> Iterator[Command]:
    """The commands of a block, in order: lines, and parts of lines between pipes and '&&'."""
    pending = ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation goes on in the next line
            pending += " "
            continue
        pending = ""
        yield from _taken_apart(words)


def _taken_apart(words: list[str]) -> Iterator[Command]:
    reads, begin = False, 0
    for end, word in enumerate([*words, "&&"]):
        if word in ("|", "&&") and end > begin:
            part = words[begin:end]
            target = part[part.index(">") + 1] if ">" in part else ""
            yield Command(part[: part.index(">")] if target else part, reads, target)
            reads, begin = word == "|", end + 1


def inline_commands(page: Path) -> Iterator[Command]:
    """Each `glm-annot ...` or `glm-train ...` in running text that is not cut short by '...'."""
    for span in re.findall(r"`(glm-(?:annot|train) [^`]+)`", page.read_text(encoding="utf-8")):
        if "..." not in span:
            yield Command(shlex.split(span))
