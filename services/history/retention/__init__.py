"""Retention: how long things are kept, their archive, and their end."""
