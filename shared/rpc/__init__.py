"""gRPC as Penstock speaks it: the server builder, its interceptors, and the client."""
