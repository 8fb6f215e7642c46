"""The OpenAPI document of the API, which follows from the protos: `make proto` writes it, `make proto-check` compares.

`contract` is what it is made of, `document` puts it together; the other modules are named for the parts that they make.
"""
