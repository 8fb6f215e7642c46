"""Text that is set into the code of either language."""

from __future__ import annotations

import re
import textwrap

WIDTH = 120
#: A link to a page of the site, of which the code keeps what it says.
_SITE_LINK = re.compile(r"\[([^\]]+)\]\(/[^)]*\)")


def paragraphs(text: str, indent: str) -> str:
    """The text in lines that fit, each set in, as Python's strings take it; lists keep their items' lines.

    Args:
        text: In paragraphs, with empty lines between them.
        indent: What stands before each line.
    """
    return plain_paragraphs(text.replace("\\", "\\\\"), indent)


def plain_paragraphs(text: str, indent: str) -> str:
    """The same as comments take it, in which nothing need be escaped."""
    blocks = _SITE_LINK.sub(r"\1", text).split("\n\n")
    return f"\n{indent.rstrip()}\n".join("\n".join(_filled(block, indent)) for block in blocks)


def line(text: str, indent: str) -> str:
    """One line, and those that it goes on in, set in further."""
    return "\n".join(
        textwrap.wrap(
            _SITE_LINK.sub(r"\1", text),
            WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def entry(name: str, text: str, indent: str) -> str:
    """One line of a list of names, and those that it goes on in, set in further."""
    said = " ".join(_SITE_LINK.sub(r"\1", text).replace("\\", "\\\\").split())
    return "\n".join(
        textwrap.wrap(
            f"{name}: {said}" if said else name,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _filled(block: str, indent: str) -> list[str]:
    lines = block.split("\n- ")
    filled = (
        textwrap.wrap(
            lines[0],
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if not lines[0].startswith("- ")
        else _item(lines[0].removeprefix("- "), indent)
    )
    for line in lines[1:]:
        filled += _item(line, indent)
    return filled


def _item(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{indent}- ",
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
