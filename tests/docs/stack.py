"""The stack that pages are tried on: brought up by `make up`, as they say, in a folder and on ports of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy.local import client_settings, layout, programs
from deploy.local.layout import BIN, ROOT, STATE_SETTING, setting_of
from deploy.local.private_files import write_private
from tests.docs.far_ends import far_ends
from tests.docs.pages import blocks
from tests.docs.session import Session
from tests.e2e import flickr as flickr_
from tests.e2e.api import Api

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

_COMMAND_TIMEOUT_S = 240
_INHERITED = ("HOME", "TMPDIR", "USER")

#: `make`, of the repository, on this stack.
_MAKE = """\
#!/bin/sh
unset MAKEFLAGS MAKELEVEL
exec env {settings} {make} --directory={root} --no-print-directory STACK={command} "$@"
"""
#: `curl`, which fails where it is refused, unless the page shows just that.
_CURL = """\
#!/bin/sh
for argument; do
  case $argument in --fail*|-[!-]*) case $argument in *f*) exec {curl} --show-error "$@" ;; esac ;; esac
done
[ "${{DOCS_REFUSED:-0}}" = 1 ] || set -- --fail-with-body "$@"
exec {curl} --show-error "$@"
"""
_XDG_OPEN = """\
#!/bin/sh
exec {python} -m tests.docs.browser "$@"
"""


@dataclass(frozen=True, slots=True)
class DocsStack:
    """The stack, while it is up.

    Args:
        folder: Holds its state, and the folders in which pages work.
        environment: What their shells find in their environment.
        operator: May do everything.
        objects_url: Where links to large things lead.
        asked: What the hosts that pages name were asked for, `host/path?query`, and how often.
    """

    folder: Path
    environment: Mapping[str, str]
    operator: Api
    objects_url: str
    asked: Counter[str]

    def session(self, name: str) -> Session:
        """A shell in a folder that is empty but for what `make up` writes, of a tenant that no other page knows."""
        slug = re.sub(r"[^a-z]+", "-", name.lower()).strip("-")
        scratch = self.folder / "pages" / slug
        settings = scratch / "working" / ".penstock"
        settings.mkdir(parents=True)
        written = self.settings_of(slug)
        (settings / "dev.env").write_text("".join(f"export {each}={text}\n" for each, text in written.items()))
        ours = {"DOCS_TYPED": str(scratch / "typed"), "XDG_CONFIG_HOME": str(scratch / "config")}
        environment = {**self.environment, **written, **ours}
        return Session(settings.parent, environment, scratch)

    def settings_of(self, tenant: str) -> dict[str, str]:
        """What a client of a new tenant is told."""
        for path, body in (
            ("tenants", {"name": tenant}),
            ("keys", {"tenant": tenant, "name": "local", "role": "ADMIN"}),
        ):
            made = self.operator.call("POST", f"/api/v1/{path}", body)
            assert made.status == HTTPStatus.OK, made.body
        key = made.json["secret"]
        secret = Api(self.operator.url, key).call("GET", "/api/v1/callbackSecret").json["secret"]
        return {
            client_settings.URL: self.operator.url,
            client_settings.API_KEY: key,
            client_settings.WEBHOOK_SECRET: secret,
        }


@contextmanager
def docs_stack() -> Iterator[DocsStack]:
    """Brings it up, and down."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-docs-"))
    try:
        with flickr_.flickr() as flickr, far_ends(folder) as ends:
            ours = layout.on_free_ports(folder / ".penstock", programs.PORTS)
            settings = {setting_of(name): str(port) for name, port in ours.ports.items()} | {
                STATE_SETTING: str(ours.state),
                "PENSTOCK_LOCAL_ENVIRONMENT": "test",
                "DOCS_HOSTS": str(ends.hosts),
                "SSL_CERT_FILE": str(ends.certificate),
                **_providers(folder, flickr_.settings(flickr, folder)),
            }
            _make_commands(folder / "bin", settings)
            environment = {
                **{name: os.environ[name] for name in _INHERITED if name in os.environ},
                "PATH": f"{folder / 'bin'}:{BIN}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "LANG": "C.UTF-8",
            }
            try:
                with _typescript(folder):
                    _run(environment, "make", "up")
                key = _run(environment, "make", "operator-key").strip()
                yield DocsStack(folder, environment, Api(ours.url, key), ours.objects_url, ends.asked)
            finally:
                _run(environment, "make", "down")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _typescript(folder: Path) -> Iterator[None]:
    """Builds the TypeScript SDK and its tests meanwhile, and puts it where the programs of pages find it."""
    sdk = ROOT / "sdks" / "typescript"
    assert (sdk / "node_modules").is_dir(), "the TypeScript SDK cannot be built: bash deploy/setup.sh typescript"
    installed = folder / "pages" / "node_modules" / "@penstock"
    installed.mkdir(parents=True)
    (installed / "sdk").symlink_to(sdk)
    command = ("npm", "run", "--silent", "build:tests")
    build = subprocess.Popen(command, cwd=sdk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        told, _ = build.communicate(timeout=_COMMAND_TIMEOUT_S)
    assert build.returncode == 0, told.decode()


def _providers(folder: Path, chosen: Mapping[str, str]) -> dict[str, str]:
    """The stack's settings with Flickr's stand-in, and beside it the providers that the page on connections adds."""
    page = "docs/connections.md"
    added: dict[str, Any] = {}
    for block in blocks(page, (ROOT / page).read_text(encoding="utf-8")):
        if block.language == "yaml" and "authorize_url" in block.text:
            added |= yaml.safe_load(block.text)
    for kind, more in (("providers_file", added), ("provider_clients_file", {"billing": {"id": "b", "secret": "s"}})):
        path = Path(chosen[kind])
        write_private(path, json.dumps(more | json.loads(path.read_text(encoding="utf-8"))))
    return {f"PENSTOCK_LOCAL_{name.upper()}": text for name, text in chosen.items()}


def _make_commands(folder: Path, settings: Mapping[str, str]) -> None:
    told = " ".join(shlex.quote(f"{name}={text}") for name, text in settings.items())
    command = shlex.quote(f"{sys.executable} -m tests.docs.local")
    folder.mkdir()
    for name, text in {
        "make": _MAKE.format(make=shutil.which("make"), root=ROOT, settings=told, command=command),
        "curl": _CURL.format(curl=shutil.which("curl")),
        "xdg-open": _XDG_OPEN.format(python=sys.executable),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o700)


def _run(environment: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_TIMEOUT_S,
        check=False,
        executable=shutil.which(command[0], path=environment["PATH"]),
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
