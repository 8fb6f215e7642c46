"""Random histories of the service, in virtual time: what must hold whatever happens."""
