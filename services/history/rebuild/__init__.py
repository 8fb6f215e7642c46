"""Rebuild: history made anew from the log, beside the one that serves, and put in its place.

A command for operators (`python -m services.history.rebuild`), for which services go on. Read on in `rebuild`.
"""
