"""Small protos for tests, as protoc reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from deploy.openapi.contract import Contract
from deploy.proto_image import generator

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = """
syntax = "proto3";
package penstock.tried.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
"""


def contract(folder: Path, text: str) -> Contract:
    """The contract of one proto, in the package penstock.tried.v1."""
    source, image = folder / "penstock" / "tried.proto", folder / "image.binpb"
    source.parent.mkdir(exist_ok=True)
    source.write_text(_HEAD + text, encoding="utf-8")
    generator().run_protoc(
        f"-I{folder}",
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        "penstock/tried.proto",
    )
    return Contract(FileDescriptorSet.FromString(image.read_bytes()))
