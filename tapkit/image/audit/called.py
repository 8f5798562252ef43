"""What an object node calls, by its name, however that name is spelt."""

from __future__ import annotations

from tapkit.image.nodes import Global, Object

BUILTIN_TYPE = ("cloudpickle.cloudpickle", "_builtin_type")
_METHOD_TYPE = Global("types", "MethodType")


def called(node: Object) -> Global | None:
    """The name of what is called; None if it has none.

    cloudpickle does not name `types.MethodType` but calls `_builtin_type("MethodType")`, and
    calls what that makes: a bound method, which is no more computed than another's.
    """
    call = node.call
    if type(call) is Global:
        return call
    if type(call) is Object and call.args == ("MethodType",) and type(call.call) is Global:
        maker = call.call
        if (maker.module, maker.name) == BUILTIN_TYPE and not call.steps:
            return _METHOD_TYPE
    return None
