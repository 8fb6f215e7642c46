"""Authorizing: the way of a consent, from the wish for it to the connection that is made of it.

Read on in `authorization` with its `store`, and `authorizations` (its steps); `flows` asks the provider, and `granted`
makes connections of what it gives. `answers` serves callers, and `callback` browsers, with `cookies` and `pages`, to
the end whoever leaves (`undisturbed`). `wiring` puts it together.
"""
