"""`python -m deploy.openapi` writes the document anew."""

from __future__ import annotations

from deploy.openapi.document import outputs


def main() -> None:
    """Writes the file."""
    for path, text in outputs():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
