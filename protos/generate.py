"""Generates Python from the protos: `python protos/generate.py [folder]`; the folder is `protos/gen` unless told."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent
PACKAGES = Path(sysconfig.get_path("purelib"))
#: `googleapis-common-protos` ships the sources of `google/api` and `google/rpc`, `grpc_tools` those of the rest.
INCLUDES = (ROOT, PACKAGES, Path(protoc.__file__).parent / "_proto")
#: It ships this one under another name than the one by which it is imported.
OPERATIONS = Path("google/longrunning/operations.proto")


def sources() -> list[str]:
    """Every proto of ours, as a path from the proto root."""
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("penstock/**/*.proto"))


def run_protoc(*arguments: str) -> None:
    """Runs protoc with our include paths.

    Raises:
        SystemExit: protoc refused, and has said why on standard error.
    """
    with tempfile.TemporaryDirectory() as renamed:
        (Path(renamed) / OPERATIONS).parent.mkdir(parents=True)
        shutil.copy(PACKAGES / OPERATIONS.with_stem("operations_proto"), Path(renamed) / OPERATIONS)
        status = protoc.main(["protoc", *(f"-I{path}" for path in (*INCLUDES, renamed)), *arguments])
    if status != 0:
        raise SystemExit(status)


def generate(folder: Path) -> None:
    """Writes the Python of every proto into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outputs = (f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc"))
    run_protoc(*outputs, *sources())
    package = folder / "penstock"
    for directory in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").touch()
    (package / "py.typed").touch()


def image(path: Path) -> None:
    """Writes the descriptor set of every proto and all it imports, for `buf` and for Envoy, to `path`."""
    extra = "google/rpc/error_details.proto"  # Envoy turns error details into JSON only if it knows their types
    run_protoc(f"--descriptor_set_out={path}", "--include_imports", "--include_source_info", *sources(), extra)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "gen")
