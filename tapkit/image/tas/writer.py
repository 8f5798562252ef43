"""Nodes to Python source: a statement for each named object, in the order of the survey."""

from __future__ import annotations

from typing import Any, Final

from tapkit.image import naming
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Image, Node, Object, Set
from tapkit.image.sink import Sink
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.events import BEGIN, DISCARD, MAKE, Event
from tapkit.image.tas.expressions import Expressions
from tapkit.image.tas.instances import Instances, attributes
from tapkit.image.tas.words import Known, docstring

_MANY: Final = 200  # statements
_ROOM: Final = 1 << 16  # bytes for the imports
_PARTS = frozenset({"items", "entries", "members"})
_STEPS = {"items": "set_items", "entries": "set_entries", "members": "set_members"}
_STEPS |= {STATE: "set_state", "effect": "effect"}


class Writer(Expressions):
    """Writes one image."""

    def __init__(self, image: Image, known: Known):
        super().__init__(image, known)
        self._sink = Sink(_ROOM)

    def write(self) -> bytes:
        """The whole source."""
        instances = Instances(self)
        survey = self.survey
        for at, item in enumerate(survey.order):
            shape, hint = survey.looks[at], survey.hinted[at]
            if shape is not None:
                instances.write(item, shape, hint)
            elif type(item) is Event:
                self._event(item)
            elif type(item) is Object and item.how == NEWOBJ and item.steps:  # it is plain, then
                if hint is not None:
                    survey.hints[id(item)] = hint
                instances.write_slowly(item, survey.links.odd.get(id(item), ()))
            else:
                self.put(item)
            if len(self.blocks) >= _MANY:
                self._encode()
        if id(self.root) not in self.names:
            self.statement(f"{self._root_name} = ", self.say(self.root))
        for walked in (survey.order, survey.looks, survey.hinted):
            walked.clear()  # the links take their place in memory
        links = instances.links()
        self._encode()
        self._sink.put_block(links)
        name = naming.root_hint(self.root) if self._root_name == "application" else ""
        head = [docstring(name, self._root_name), "\n".join(self.imports.lines()).rstrip("\n")]
        head.append("\n".join(self.declared.values()))
        first = "\n\n".join(filter(None, head))
        self.kinds.clear()  # which refers to this writer; so all of it goes when it is dropped
        self._sink.put("\n")
        return self._sink.whole(first)

    def _encode(self) -> None:
        """Make bytes of the statements so far, while they are few and near."""
        if self.blocks:
            self._sink.put("\n\n".join(["", *self.blocks]))
            self.blocks.clear()

    def put(self, node: Node) -> None:
        """Write a node, by a statement or for later use."""
        if id(node) in self.survey.shells:
            self._fill(node)
        else:
            super().put(node)

    # -- events

    def _event(self, event: Event) -> None:
        node = event.node
        if event.what == BEGIN:
            self.begin(node)
        elif event.what == MAKE:
            self.give_name(node, self.made(node))
        elif event.what == DISCARD:
            self.statement("", self.expr_call(self.helper("discard"), [("", self.say(node))]))
        else:
            self._step(node, *list(node.each_step())[event.number])

    def begin(self, node: Node) -> None:
        """Make a node without what is in it."""
        empty = {list: "[]", Dict: "{}", Set: "set()"}.get(type(node))
        self.give_name(node, self.made(node) if empty is None else empty)

    def _fill(self, node: Node) -> None:
        """Complete what was begun."""
        name = self.names[id(node)]
        if type(node) is Object:
            self._step(node, *node.steps)
        elif type(node) is Dict:
            self.statement("", self.expr_call(f"{name}.update", [("", self.kinds[Dict](node))]))
        else:
            method = "extend" if type(node) is list else "update"
            self.statement("", self.expr_call(f"{name}.{method}", [("", self.kinds[list](node))]))

    def _step(self, node: Object, verb: str, value: Any) -> None:
        name = self.names[id(node)]
        if verb == "again":
            words = [("", name)] if value is None else [("", name), ("", self.say(value))]
            self.statement("", self.expr_call(self.helper("again"), words))
            return
        private = type(value) is Dict and id(value) not in self.survey.shared
        if verb == STATE and private and attributes_only(value):
            words = [("", name), *attributes(self, value)]
            self.statement("", self.expr_call(self.helper("complete"), words))
            return
        parts = self.kinds[type(value)](value) if verb in _PARTS else self.say(value)
        helper = self.helper(_STEPS[verb])
        self.statement("", self.expr_call(helper, [("", name), ("", parts)]))
