"""Flickr's far end: a real HTTP server that answers as Flickr does, and checks signatures with oauthlib's server side.

`accounts` keeps who may call, `validator` judges requests by it, `oauth` lets an account's owner say yes, `server` takes
the calls; run it alone with `python -m tests.fakes.flickr`.
"""
