"""Both SDKs as their users get them: built, installed where nothing else is, and put before the mesh."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.layout import ROOT
from tests.sdks.runs import far_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sdks.runs import Tenant

_TIMEOUT_S = 120
_IMPORTED = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "([^"]+)"', re.MULTILINE)
_TYPESCRIPT = ROOT / "sdks" / "typescript"

PYTHON = """\
import sys
from importlib import metadata
from pathlib import Path

import penstock_sdk
from penstock_sdk import Penstock

here = Path(penstock_sdk.__file__).parent
assert here.is_relative_to(sys.prefix), here
assert (here / "py.typed").is_file()
about = metadata.metadata("penstock-sdk")
assert (about["Version"], about["License-Expression"]) == (penstock_sdk.__version__, "Apache-2.0")
assert about["Requires-Python"] == ">=3.11"
assert about.get_payload().startswith("# penstock-sdk")
assert any(str(file).endswith("licenses/LICENSE") for file in metadata.files("penstock-sdk"))
for transport in ("http", "grpc"):
    with Penstock(transport=transport) as penstock:
        print(transport, penstock.jobs.run("http", "http.get", {"url": sys.argv[1]}).state)
"""
#: Checked with what browsers have, and run by Node.
TYPESCRIPT = """\
import { JobNotFound, Penstock, type Job } from "@penstock/sdk";

declare const process: { argv: [string, string, string] };

const penstock = new Penstock();
const job: Job = await penstock.jobs.run("http", "http.get", { url: process.argv[2] });
console.log(job.state);
const other = "http-00000000-0000-7000-8000-000000000000";
await penstock.jobs.get(other).catch((error: unknown) => console.log(error instanceof JobNotFound || error));
"""
COMPILED_AS = {
    "strict": True,
    "module": "nodenext",
    "target": "es2022",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
}


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def uv() -> Path:
    found = shutil.which("uv")
    return Path(found) if found else ROOT / ".uv" / "bin" / "uv"


def test_the_wheel_works_where_nothing_else_is(tenant: Tenant, tmp_path: Path) -> None:
    wheels, python = tmp_path / "wheels", tmp_path / "venv" / "bin" / "python"
    for project in ("sdks/python", "protos"):
        run(uv(), "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT / project, folder=tmp_path)
    run(uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", folder=tmp_path)
    # The versions that are installed here, so that none has to be fetched.
    install = (uv(), "pip", "install", "--quiet", "--python", python, "--constraint", ROOT / "requirements.lock")
    run(*install, "--find-links", wheels, "penstock-sdk[grpc]", folder=tmp_path)
    environment = {**tenant.settings, "PATH": os.environ["PATH"]}
    printed = run(python, "-c", PYTHON, far_end("wheel"), folder=tmp_path, environment=environment)
    assert printed.splitlines() == ["http SUCCEEDED", "grpc SUCCEEDED"]
    command = tmp_path / "venv" / "bin" / "penstock"
    listed = run(command, "--json", "jobs", "list", folder=tmp_path, environment=environment).splitlines()
    assert {json.loads(line)["id"] for line in listed}


def test_the_npm_package_works_where_nothing_else_is(tenant: Tenant, tmp_path: Path) -> None:
    packed = run("npm", "pack", "--silent", "--pack-destination", tmp_path, folder=_TYPESCRIPT).split()[-1]
    with tarfile.open(tmp_path / packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    assert {"package.json", "README.md", "LICENSE", "CHANGELOG.md", "dist/index.js", "dist/index.d.ts"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {"dist", "src"}

    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", tmp_path / packed, folder=tmp_path)
    assert [path.name for path in (tmp_path / "node_modules").iterdir() if path.name[0] != "."] == ["@penstock"]
    (tmp_path / "main.ts").write_text(TYPESCRIPT)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILED_AS}))
    run("node", _TYPESCRIPT / "node_modules" / "typescript7" / "bin" / "tsc", folder=tmp_path)
    environment = {**tenant.settings, "PATH": os.environ["PATH"]}
    assert run("node", "main.js", far_end("npm"), folder=tmp_path, environment=environment) == "SUCCEEDED\ntrue\n"


def test_what_browsers_load_takes_nothing_of_node() -> None:
    loaded, ahead = set[Path](), [_TYPESCRIPT / "dist" / "index.js"]
    while ahead:
        module = ahead.pop()
        loaded.add(module)
        for name in _IMPORTED.findall(module.read_text()):
            assert name.startswith("./"), f"{module.name}: {name}"
            if (module.parent / name).resolve() not in loaded:
                ahead.append((module.parent / name).resolve())
    assert len(loaded) > 1
