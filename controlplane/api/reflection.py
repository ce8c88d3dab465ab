"""Server reflection under both of its names, so that `grpcurl` and its kin list, describe and call without proto files.

grpcio-reflection knows only v1alpha (https://github.com/grpc/grpc/issues/38576). v1 has the same messages under another package
name, so the same servicer answers both; only the descriptor of v1 itself has to be made. Added by `api.server`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA, _V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"


class Reflection:
    """Answers about `services` and about itself."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        pool = descriptor_pool.DescriptorPool()
        served = list(services)
        for service in served:
            _copy(service.file, pool)
        # What errors carry packed, so that tools can show it.
        _copy(cast("FileDescriptor", error_details_pb2.DESCRIPTOR), pool)
        alpha = cast("FileDescriptor", reflection_pb2.DESCRIPTOR)
        _copy(alpha, pool)
        pool.Add(_as_v1(alpha))
        self.services: Sequence[ServiceDescriptor] = [
            pool.FindServiceByName(f"{package}.ServerReflection") for package in (_ALPHA, _V1)
        ]
        names = [service.full_name for service in [*served, *self.services]]
        self._servicer = reflection.aio.ReflectionServicer(names, pool=_MethodsToo(pool))

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers both names."""
        method: Any = grpc.stream_stream_rpc_method_handler(
            self._servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for service in self.services:
            handler = grpc.method_handlers_generic_handler(
                service.full_name, {"ServerReflectionInfo": method}
            )
            server.add_generic_rpc_handlers((handler,))


class _MethodsToo:
    """A pool that also knows in which file a method is, which protobuf's own does not and the protocol asks for."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """Raises KeyError, as the pool does."""
        service, _, method = symbol.rpartition(".")
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            found = self._pool.FindServiceByName(service)
            if method not in found.methods_by_name:
                raise
            return found.file


def _copy(file: FileDescriptor, pool: descriptor_pool.DescriptorPool) -> None:
    """Puts a file, and first the files that it imports, into the pool; a file already there changes nothing."""
    for dependency in file.dependencies:
        _copy(dependency, pool)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    pool.Add(proto)


def _as_v1(file: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    """The v1alpha file under v1's names: they differ in nothing else."""
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    proto.name, proto.package = "grpc/reflection/v1/reflection.proto", _V1
    old, new = f".{_ALPHA}.", f".{_V1}."
    for message in proto.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(old, new)
    for service in proto.service:
        for method in service.method:
            method.input_type = method.input_type.replace(old, new)
            method.output_type = method.output_type.replace(old, new)
    return proto
