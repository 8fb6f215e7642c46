"""Providers: where connections are authorized. They are data: those in `data/`, and the operator's own.

Read on in `domain` and `files`; `oauth1` and `oauth2` ask them, by `http`, and are answered with `grants`.
"""
