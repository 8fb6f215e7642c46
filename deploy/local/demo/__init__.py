"""`make demo`: real jobs over HTTP/JSON through Envoy to a server that is not ours; each must end as it should."""
