"""Answers made smaller, where a client takes them so.

What a service answers byte for byte is left as it is (results and parts of them, streams, exports: RPCs that answer
with `google.api.HttpBody`), and so is gRPC. So are answers that show a secret: their length would tell of it to who can
have such an answer made again and again beside words of their own choice (BREACH, CVE-2013-3587).
"""

from __future__ import annotations

from gateway.typed import EnvoyConfig, extension, typed

#: Below it the coding's own frame and the processor's time cost more than is saved.
_LEAST_BYTES = 1024
_TYPES = (
    "application/json",
    "application/yaml",
    "text/html",
    "text/css",
    "text/javascript",
    "text/plain",
    "image/svg+xml",
)
#: The codings by the names of Envoy's libraries, each at a level that costs little; where a client likes several alike,
#: the first of these. A window of 32 KiB keeps what an answer takes of memory small.
_CODINGS = {
    "zstd": ("extensions.compression.zstd.compressor.v3.Zstd", {"compression_level": 3}),
    "brotli": ("extensions.compression.brotli.compressor.v3.Brotli", {"quality": 3, "window_bits": 15}),
    "gzip": (
        "extensions.compression.gzip.compressor.v3.Gzip",
        {"compression_level": "COMPRESSION_LEVEL_3", "window_bits": 15, "memory_level": 8},
    ),
}
#: A part of something is a part of its bytes as they are.
_PARTIAL_CONTENT = 206


def compression() -> list[EnvoyConfig]:
    """A filter each coding."""
    return [_filter(coding, first=place == 0) for place, coding in enumerate(_CODINGS)]


def uncompressed() -> EnvoyConfig:
    """Of a route whose answers are left as they are, by filter."""
    left = typed("extensions.filters.http.compressor.v3.CompressorPerRoute", disabled=True)
    return {_name(coding): left for coding in _CODINGS}


def _filter(coding: str, *, first: bool) -> EnvoyConfig:
    type_name, fields = _CODINGS[coding]
    return extension(
        _name(coding),
        "extensions.filters.http.compressor.v3.Compressor",
        response_direction_config={
            "common_config": {"min_content_length": _LEAST_BYTES, "content_type": list(_TYPES)},
            "weaken_etag_on_compress": True,  # RFC 9110, 8.8.3.3: other bytes, the same meaning
            "uncompressible_response_codes": [_PARTIAL_CONTENT],
        },
        compressor_library=extension(coding, type_name, **fields),
        choose_first=first,
    )


def _name(coding: str) -> str:
    return f"penstock.compression.{coding}"
