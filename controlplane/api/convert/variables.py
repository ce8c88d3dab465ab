"""Variables. A secret's value never comes here: the domain object has none."""

from skerry.platform.v1 import variable_pb2

from controlplane.api.convert import common
from controlplane.domain.variables import Variable
from controlplane.services.variables import Shown


def variable(value: Variable) -> variable_pb2.Variable:
    """`platform.v1.Variable`."""
    return variable_pb2.Variable(
        name=value.name,
        key=value.key,
        secret=value.secret,
        value="" if value.secret else value.value,
        version=value.version,
        key_id=value.key_id,
        updated_by=value.updated_by,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
        problem=value.problem,
    )


def effective(value: Shown) -> variable_pb2.EffectiveVariable:
    """`platform.v1.EffectiveVariable`."""
    return variable_pb2.EffectiveVariable(
        variable=variable(value.variable),
        shadowed=[variable(item) for item in value.shadowed],
    )
