"""`python -m penstock_sdk.command`: the same as `penstock`."""

from __future__ import annotations

from penstock_sdk.command import main

if __name__ == "__main__":
    main(prog_name="penstock")
