"""What holds for the repository as a whole."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import penstock
import pytest
from google.longrunning import operations_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from penstock.errors.v1 import errors_pb2
from penstock.gateway.v1 import external_auth_pb2

from shared import errors
from shared.permissions import PERMISSIONS

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
#: The generated code's, and the lock's; neither is written by hand.
GENERATED = (
    "protos/gen/",
    "requirements.lock",
    *(
        f"sdks/python/src/penstock_sdk/{name}"
        for name in ("_async/resources.py", "_sync/", "models.py", "operations.py", "reasons.py")
    ),
    *(f"sdks/typescript/src/{name}.ts" for name in ("operations", "reasons", "resources", "schema")),
)
#: Built here from parts, so that this file holds none of them.
INDEX_ADDRESSES = tuple(
    "".join(parts) for parts in (("files.python", "hosted.org"), ("py", "pi.org/simple"), ("registry.", "npmjs.org"))
)


def tracked() -> list[Path]:
    """Every file that is committed or could be."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard"), cwd=ROOT, capture_output=True, check=True
    )
    return [ROOT / name for name in listed.stdout.decode().splitlines() if (ROOT / name).is_file()]


def by_hand(suffix: str) -> list[Path]:
    return [
        path for path in tracked() if path.suffix == suffix and not str(path.relative_to(ROOT)).startswith(GENERATED)
    ]


def proto_files() -> list[FileDescriptor]:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(penstock.__path__, "penstock.")
        if module.name.endswith("_pb2")
    ]
    assert modules
    return [module.DESCRIPTOR for module in (*modules, external_auth_pb2, health_pb2, operations_pb2, reflection_pb2)]


def rpcs() -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for file in proto_files()
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_the_root_project_is_not_installed_as_a_package() -> None:
    ours = {"services", "shared", "gateway", "deploy", "tests"}
    assert ours & set(metadata.packages_distributions()) == set()


def test_every_rpc_has_a_permission() -> None:
    assert {rpc for rpc in rpcs() if rpc not in PERMISSIONS} == set()


def test_every_permission_is_of_an_rpc_that_exists() -> None:
    # Reflection has two versions; the stable one's protos come with no wheel of ours.
    known = rpcs() | {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}
    assert set(PERMISSIONS) - known == set()


def test_every_reason_is_one_of_the_contract_and_every_one_of_the_contract_is_documented() -> None:
    contract = set(errors_pb2.ErrorReason.keys())
    assert {error.reason for error in errors.every_error()} <= contract
    source = (ROOT / "protos/penstock/errors/v1/errors.proto").read_text()
    bare = [name for name in contract if not re.search(rf"//[^\n]*\n\s*{name} = ", source)]
    assert bare == []


def test_every_error_of_the_tree_has_a_code_that_grpc_knows() -> None:
    assert {error.code for error in errors.every_error()} <= {code.name for code in grpc.StatusCode}


@pytest.mark.parametrize("suffix", [".py", ".ts"])
def test_no_file_is_longer_than_one_can_read(suffix: str) -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in by_hand(suffix)}
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}


def test_what_is_generated_is_marked_as_such() -> None:
    marked = [line.split()[0] for line in (ROOT / ".gitattributes").read_text().splitlines() if "generated" in line]
    assert [name for name in GENERATED if f"{name}**" not in marked and name not in marked] == []


@pytest.mark.parametrize("address", INDEX_ADDRESSES)
def test_no_file_names_a_package_index(address: str) -> None:
    assert [path.name for path in tracked() if address.encode() in path.read_bytes()] == []


def test_every_relaxed_check_says_why() -> None:
    relaxed = re.compile(r"#\s*(?:noqa|type: ignore|pyright: ignore|pragma: no cover)\S*(?:[:\s]+[A-Z]+\d+,?)*(.*)")
    bare = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in by_hand(".py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (found := relaxed.search(line)) and len(re.sub(r"\[[^]]*\]", "", found[1]).split()) < 2
    ]
    assert bare == []


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", text, re.MULTILINE))
    told = set(re.findall(r"^([a-z][a-z0-9-]*):.*## \S", text, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE))
    assert targets == told == phony


def test_every_direct_dependency_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [
        *project["project"]["dependencies"],
        *(each for group in project["dependency-groups"].values() for each in group),
    ]
    lock = (ROOT / "requirements.lock").read_text()
    locked = re.findall(r"^([a-z0-9-]+)==[^\n]*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in named} - set(locked) == set()


@pytest.mark.parametrize("folder", ["gateway/site", "sdks/typescript"])
def test_what_npm_installs_is_locked_with_hashes_and_without_addresses(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    package = json.loads((ROOT / folder / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert lock[""].get(kind) == package.get(kind)
    installed = {name: package for name, package in lock.items() if name}
    assert installed
    assert [name for name, package in installed.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []


def test_an_sdk_has_the_version_that_its_changelog_tells_of_and_the_licence_of_all() -> None:
    python = tomllib.loads((ROOT / "sdks/python/pyproject.toml").read_text())["project"]
    typescript = json.loads((ROOT / "sdks/typescript/package.json").read_text())
    lock = json.loads((ROOT / "sdks/typescript/package-lock.json").read_text())
    assert lock["version"] == lock["packages"][""]["version"] == typescript["version"]
    for folder, about in (("python", python), ("typescript", typescript)):
        changes = (ROOT / "sdks" / folder / "CHANGELOG.md").read_text()
        assert re.findall(r"^## (\S+?),? ", changes, re.MULTILINE)[0] == about["version"], folder
        assert (ROOT / "sdks" / folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text(), folder
        assert about["license"] == "Apache-2.0"


def test_the_typescript_sdk_takes_nothing_along() -> None:
    package = json.loads((ROOT / "sdks/typescript/package.json").read_text())
    assert {"dependencies", "peerDependencies", "optionalDependencies"} & set(package) == set()


def test_every_test_that_the_page_on_security_names_exists() -> None:
    page = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`((?:unit|integration|e2e)/[\w/]+\.py)(?:::(\w+))?`", page)
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (path := ROOT / "tests" / file).is_file() or (name and f"def {name}(" not in path.read_text())
    ]
    assert missing == []
    attacks = {str(path.relative_to(ROOT / "tests")) for path in ROOT.glob("tests/e2e/attacks/test_*.py")}
    assert attacks <= {file for file, _ in named}
    assert re.findall(r"^## (API\d+) ", page, re.MULTILINE) == [f"API{number}" for number in range(1, 11)]


def test_every_service_tells_the_audit() -> None:
    mains = {path.parent.name: path.read_text() for path in ROOT.glob("services/*/__main__.py")}
    assert len(mains) >= 6
    assert [name for name, text in mains.items() if "process.connect_bus(" not in text] == []


def test_a_domain_and_a_docstring_stand_in_every_service() -> None:
    for folder in (path.parent for path in ROOT.glob("services/*/__main__.py")):
        assert any(folder.glob("**/domain.py")), folder.name
        assert (folder / "__init__.py").read_text().startswith('"""'), folder.name
