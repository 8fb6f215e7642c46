"""Sealing: the secrets of connections are kept under data keys, and those wrapped by a key provider.

Read on in `vault` with `secret_texts` (a secret sealed and opened), `data_keys` with `data_key_store`; `key_providers`,
`master_keys` and `aws_kms` wrap them, as `key_setup` has it. `resealing`, with `sealed_store`, rotates them for
`servicer`.
"""
