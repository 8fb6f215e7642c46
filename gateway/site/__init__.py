"""The site: a small process beside Envoy that answers what needs a look at the whole mesh; stateless, of no tenant."""
