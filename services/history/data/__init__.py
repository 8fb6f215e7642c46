"""Data: what every service holds of a tenant or a connection, exported and erased."""
