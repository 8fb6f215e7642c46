"""Flickr's far end: a real HTTP server that answers as Flickr does, and has oauthlib's server side judge signatures.

`accounts` keeps who may call, `validator` judges requests by it, `oauth` lets an account's owner say yes; `world` is
what there is, `methods` and `more_methods` answer of it, `faults` are how it misbehaves; `server` takes the calls, and
runs alone with `python -m tests.fakes.flickr`.
"""
