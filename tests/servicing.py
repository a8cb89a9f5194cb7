"""Pulumi's real server for dynamic providers, spoken to over gRPC as the engine does."""

from __future__ import annotations

import importlib.util
import json
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from pc_provider.provider import SubscriptionUpgradeProvider

SECONDS = 60.0
"""No method may take longer: one that hangs fails its test."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a value that is not known yet."""


class Checked(NamedTuple):
    inputs: dict[str, Any]
    failures: list[tuple[str, str]]


class Stored(NamedTuple):
    id: str
    outs: dict[str, Any]
    inputs: dict[str, Any]


class Client:
    """What the engine asks of a provider, with plain values. A refused method raises grpc.RpcError."""

    def __init__(self, address: str, provider: ResourceProvider | None = None) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._pickle = serialize_provider(provider or SubscriptionUpgradeProvider())

    def close(self) -> None:
        self._channel.close()

    def configure(self, config: dict[str, str]) -> None:
        self._stub.Configure(provider_pb2.ConfigureRequest(args=_struct(config)), timeout=SECONDS)

    def check(self, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Checked:
        request = provider_pb2.CheckRequest(olds=self._bag(olds or {}), news=self._bag(news))
        answer = self._stub.Check(request, timeout=SECONDS)
        return Checked(self._plain(answer.inputs), [(failed.property, failed.reason) for failed in answer.failures])

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        """Whether anything changes; a wish to replace fails the test."""
        request = provider_pb2.DiffRequest(id=id_, olds=self._bag(olds), news=self._bag(news))
        answer = self._stub.Diff(request, timeout=SECONDS)
        assert not answer.replaces
        assert answer.changes != provider_pb2.DiffResponse.DIFF_UNKNOWN
        return bool(answer.changes == provider_pb2.DiffResponse.DIFF_SOME)

    def create(self, props: dict[str, Any]) -> Stored:
        answer = self._stub.Create(provider_pb2.CreateRequest(properties=self._bag(props)), timeout=SECONDS)
        return Stored(answer.id, self._plain(answer.properties), {})

    def creating(self, props: dict[str, Any]) -> Any:
        """A create under way: a future of gRPC."""
        return self._stub.Create.future(provider_pb2.CreateRequest(properties=self._bag(props)), timeout=SECONDS)

    def read(self, id_: str, props: dict[str, Any]) -> Stored:
        answer = self._stub.Read(provider_pb2.ReadRequest(id=id_, properties=self._bag(props)), timeout=SECONDS)
        return Stored(answer.id, self._plain(answer.properties), self._plain(answer.inputs))

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(id=id_, olds=self._bag(olds), news=self._bag(news))
        return self._plain(self._stub.Update(request, timeout=SECONDS).properties)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id=id_, properties=self._bag(props)), timeout=SECONDS)

    def cancel(self) -> None:
        """One ^C."""
        self._stub.Cancel(empty_pb2.Empty(), timeout=SECONDS)

    def _bag(self, values: dict[str, Any]) -> struct_pb2.Struct:
        return _struct({**values, "__provider": self._pickle})

    def _plain(self, bag: struct_pb2.Struct) -> dict[str, Any]:
        plain: dict[str, Any] = json_format.MessageToDict(bag)
        assert plain.pop("__provider", self._pickle) == self._pickle
        return plain


def _struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.Parse(json.dumps(values), struct_pb2.Struct())


class Servicer:
    """The server in this process: the module starts one when it is imported, so its last line is left out."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("pulumi.dynamic.__main__")
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin).read_text().rstrip()
        assert source.endswith("\nmain()")
        names: dict[str, Any] = {"__name__": "dynamic_servicer"}
        exec(compile(source.removesuffix("main()"), found.origin, "exec"), names)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        servicer = names["DynamicResourceProviderServicer"]()
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Servicer:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()
