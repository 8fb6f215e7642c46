"""One shell in which the blocks of a page are run, one after the other, as somebody who reads it would."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.printed import is_text_alike, json_differences, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from tests.docs.pages import Block

#: For a block that hangs; nothing in a page waits for so long.
_TIMEOUT_S = 60.0
_SHOWN_BYTES = 4000
_SUFFIXES = {"python": "py", "go": "go", "sh": "sh"}
_FAILED = re.compile(r"failed (\d+) (.*)")
_PROGRAMS = {"python": "python", "js": "node", "go": "go run"}
#: What the shell tells on descriptor 9: where it is done with a block, and where a command of it has failed.
_PROLOGUE = r"""
exec 9>&{descriptor} {descriptor}>&-
set -euo pipefail
trap 'printf "failed %s %s\n" "$LINENO" "${{BASH_COMMAND%%$'"'\n'"'*}}" >&9' ERR
trap 'printf "ended\n" >&9' EXIT
"""


class BlockFailedError(AssertionError):
    """A block does not do what its page says."""

    def __init__(self, block: Block, why: str, *, line: int = 0, printed: Mapping[str, str] | None = None) -> None:
        streams = "".join(f"\n--- {name}\n{text.strip()}" for name, text in (printed or {}).items() if text.strip())
        super().__init__(f"{block.page}:{block.line + line}: {why}\n--- the block\n{block.text.rstrip()}{streams}")


class Session:
    """The shell of a page.

    Args:
        folder: Where it works.
        environment: What it finds in its environment.
        scratch: A folder for what its reader does not see.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch
        #: What the person types when a block asks for it.
        self._typed = Path(environment["DOCS_TYPED"])
        self._typed.touch()
        self._told, telling = os.pipe()
        self._process = subprocess.Popen(
            ("bash", "--noprofile", "--norc"),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(telling,),
            start_new_session=True,
        )
        os.close(telling)
        self._say(_PROLOGUE.format(descriptor=telling))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the shell, and what was left running in it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        os.close(self._told)

    def run(self, block: Block, shown: Block | None = None) -> str:
        """Runs a block, or saves it where its page says so; answers with what it has printed.

        Args:
            block: The block.
            shown: What it prints, by its page.

        Raises:
            BlockFailedError: It fails, does not end, or prints something else.
        """
        if block.file:
            file = self._folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            return ""
        refused = shown is not None and shown.language == "json" and '{"error":' in shown.text
        printed = self._execute(block, refused=refused)
        if shown is not None:
            _compare(shown, printed)
        return printed

    def _execute(self, block: Block, *, refused: bool) -> str:
        program = self._scratch / f"{block.line}.{_SUFFIXES.get(block.language) or _kind_of_js(block.text)}"
        program.write_text(block.text, encoding="utf-8")
        streams = {name: self._scratch / f"{block.line}.{name}" for name in ("stdout", "stderr")}
        how = _PROGRAMS.get(block.language, "source")
        self._say(
            f"export DOCS_REFUSED={int(refused)}\n"
            f"{how} {program} <{self._typed} >{streams['stdout']} 2>{streams['stderr']}\n"
            "printf 'done\\n' >&9\n"
        )
        told = self._told_within(_TIMEOUT_S)
        if told[-1:] != ["done"]:
            printed = {name: _end_of(path) for name, path in streams.items()}
            if told[-1:] != ["ended"]:
                raise BlockFailedError(block, f"has not ended within {_TIMEOUT_S:.0f} s", printed=printed)
            failed = _FAILED.match(told[0]) if block.language == "sh" else None
            line, what = (int(failed[1]), failed[2]) if failed else (0, "it")
            raise BlockFailedError(block, f"this fails: {what}", line=line, printed=printed)
        return streams["stdout"].read_text(encoding="utf-8")

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _told_within(self, timeout_s: float) -> list[str]:
        """What the shell tells until it is done with a block, has ended, or the time is over."""
        until, told = time.monotonic() + timeout_s, b""
        while not told.endswith((b"done\n", b"ended\n")):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._told], [], [], left)[0]:
                break
            told += os.read(self._told, 65536)
        return told.decode(errors="replace").splitlines()


def _kind_of_js(text: str) -> str:
    return "cjs" if "require(" in text else "mjs"


def _end_of(path: Path) -> str:
    return path.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace") if path.exists() else ""


def _compare(shown: Block, printed: str) -> None:
    """Compares what a page shows with what was printed.

    Raises:
        BlockFailedError: They differ.
    """
    told = {"printed": printed[-_SHOWN_BYTES:]}
    if shown.language != "json":
        if not is_text_alike(shown.text, printed):
            raise BlockFailedError(shown, "this is not what the block before it prints", printed=told)
        return
    try:
        wanted, found = read_json(shown.text), read_json(printed)
    except ValueError as error:
        raise BlockFailedError(
            shown, f"this, or what the block before it prints, is no JSON: {error}", printed=told
        ) from error
    differences = [*json_differences(wanted, found[-len(wanted) :])]
    if differences:
        raise BlockFailedError(
            shown, "this is not what the block before it prints: " + "; ".join(differences), printed=told
        )
