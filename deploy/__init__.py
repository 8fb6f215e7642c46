"""How Penstock is run: on a developer's machine (`local`), and elsewhere."""
