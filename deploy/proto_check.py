"""Whether the generated code is what the protos say, and the protos are as buf wants them: `make proto-check`."""

from __future__ import annotations

import filecmp
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.layout import ROOT

PROTOS = ROOT / "protos"


def main() -> int:
    """Regenerates beside the committed code and compares; lints an image of the protos."""
    specification = importlib.util.spec_from_file_location("generate", PROTOS / "generate.py")
    if specification is None or specification.loader is None:
        raise FileNotFoundError(PROTOS / "generate.py")
    generator = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generator)
    with tempfile.TemporaryDirectory() as folder:
        anew, image = Path(folder, "gen"), Path(folder, "image.binpb")
        generation = subprocess.run(  # noqa: S603  our own script; its plugins tell every file they write
            (sys.executable, str(PROTOS / "generate.py"), str(anew)), stderr=subprocess.PIPE, text=True, check=False
        )
        if generation.returncode != 0:
            print(generation.stderr, file=sys.stderr)
            return generation.returncode
        generator.image(image)
        differing = differences(PROTOS / "gen", anew)
        for path in differing:
            print(f"protos/gen/{path} is not what the protos say")
        if differing:
            print("`make proto` generates it anew")
            return 1
        return subprocess.run(  # noqa: S603  the linter of this environment
            (str(Path(sys.executable).with_name("buf")), "lint", str(image), "--config", str(PROTOS / "buf.yaml")),
            check=False,
        ).returncode


def differences(committed: Path, anew: Path) -> list[Path]:
    """The files, by their path in the folder, that are in one only or not the same."""
    old, new = _files(committed), _files(anew)
    _, differing, unreadable = filecmp.cmpfiles(committed, anew, [str(path) for path in old & new], shallow=False)
    return sorted((old ^ new) | {Path(name) for name in (*differing, *unreadable)})


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


if __name__ == "__main__":
    sys.exit(main())
