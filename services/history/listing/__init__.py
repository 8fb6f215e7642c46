"""Listing: which jobs a list, an export or an operation is about, and pages of them."""
