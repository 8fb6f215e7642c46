"""The `penstock` command: what the API does, from a shell.

`root` has the whole of it together, `grammar` what each command can do beside its own; each noun has a module. `output`
prints, `exits` tells what went wrong and by which exit code.
"""

from __future__ import annotations

from penstock_sdk.command.root import main

__all__ = ["main"]
