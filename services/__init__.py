"""The mesh: one package a service, none of which imports another."""
