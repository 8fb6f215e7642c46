"""Whether the generated code is what the protos say, and the protos are as buf wants them: `make proto-check`."""

from __future__ import annotations

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import error_pages, event_types
from deploy.local.layout import ROOT
from deploy.openapi import document
from deploy.proto_image import PROTOS
from deploy.proto_image import image as write_image


def main() -> int:
    """Regenerates beside the committed code and compares; lints an image of the protos."""
    with tempfile.TemporaryDirectory() as folder:
        anew, image = Path(folder, "gen"), Path(folder, "image.binpb")
        generation = subprocess.run(  # noqa: S603  our own script; its plugins tell every file they write
            (sys.executable, str(PROTOS / "generate.py"), str(anew)), stderr=subprocess.PIPE, text=True, check=False
        )
        if generation.returncode != 0:
            print(generation.stderr, file=sys.stderr)
            return generation.returncode
        write_image(image)
        differing = [Path("protos", "gen", path) for path in differences(PROTOS / "gen", anew)]
        for outputs in (event_types.outputs(), error_pages.outputs(), document.outputs()):
            differing += [path.relative_to(ROOT) for path, text in outputs if not _says(path, text)]
        for path in differing:
            print(f"{path} is not what the protos say")
        if differing:
            print("`make proto` generates it anew")
            return 1
        return subprocess.run(  # noqa: S603  the linter of this environment
            (str(Path(sys.executable).with_name("buf")), "lint", str(image), "--config", str(PROTOS / "buf.yaml")),
            check=False,
        ).returncode


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def differences(committed: Path, anew: Path) -> list[Path]:
    """The files, by their path in the folder, that are in one only or not the same."""
    old, new = _files(committed), _files(anew)
    _, differing, unreadable = filecmp.cmpfiles(committed, anew, [str(path) for path in old & new], shallow=False)
    return sorted((old ^ new) | {Path(name) for name in (*differing, *unreadable)})


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


if __name__ == "__main__":
    sys.exit(main())
