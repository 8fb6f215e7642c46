"""Samples of calls in curl, Python and JavaScript, made from the examples of requests.

They read where Penstock is and a key from `PENSTOCK_URL` and `PENSTOCK_API_KEY`, as `.penstock/dev.env` sets them.
"""

from __future__ import annotations

import json
import pprint
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.openapi.examples import Examples
    from deploy.openapi.schemas import Schema
    from gateway.routes import Binding

_PYTHON_WIDTH = 100


def samples(binding: Binding, examples: Examples) -> list[Schema]:
    """The samples of a binding.

    Raises:
        KeyError: There is no example of its request.
    """
    path, query = examples.address(binding)
    address = path + (f"?{urlencode(query, doseq=True)}" if query else "")
    body = examples.body(binding)
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(binding.verb, address, body)},
        {"lang": "Python", "label": "Python", "source": _python(binding.verb, address, body)},
        {"lang": "JavaScript", "label": "JavaScript", "source": _javascript(binding.verb, address, body)},
    ]


def _curl(verb: str, address: str, body: Mapping[str, Any] | None) -> str:
    lines = [
        f'curl --fail-with-body -X {verb} "$PENSTOCK_URL{address}"',
        '-H "Authorization: Bearer $PENSTOCK_API_KEY"',
    ]
    if body is not None:
        lines.append(f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def _python(verb: str, address: str, body: Mapping[str, Any] | None) -> str:
    lines = [
        "import os",
        "",
        "import requests",
        "",
        f"answer = requests.{verb.lower()}(",
        f'    os.environ["PENSTOCK_URL"] + {json.dumps(address)},',
        '    headers={"Authorization": "Bearer " + os.environ["PENSTOCK_API_KEY"]},',
    ]
    if body is not None:
        written = pprint.pformat(body, sort_dicts=False, width=_PYTHON_WIDTH).replace("\n", "\n         ")
        lines.append(f"    json={written},")
    lines += ["    timeout=70,", ")", "answer.raise_for_status()", "print(answer.text)"]
    return "\n".join(lines)


def _javascript(verb: str, address: str, body: Mapping[str, Any] | None) -> str:
    content_type = "" if body is None else ', "Content-Type": "application/json"'
    headers = "{ Authorization: `Bearer ${process.env.PENSTOCK_API_KEY}`" + content_type + " }"
    lines = [
        f"const answer = await fetch(process.env.PENSTOCK_URL + {json.dumps(address)}, {{",
        f'  method: "{verb}",',
        f"  headers: {headers},",
    ]
    if body is not None:
        written = json.dumps(body, ensure_ascii=False, indent=2).replace("\n", "\n  ")
        lines.append(f"  body: JSON.stringify({written}),")
    lines += ["});", "if (!answer.ok) throw new Error(await answer.text());", "console.log(await answer.text());"]
    return "\n".join(lines)
