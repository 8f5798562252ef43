"""Instances with a dict as their state: most of any image, and most of the time it takes.

Those that look alike are written by the templates of their shape. A value that is a variable, a
number or a plain string goes into it as it is; any other is laid out first.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tapkit.image.nodes import Dict, Node, Object
from tapkit.image.tas import spellings
from tapkit.image.tas.atoms import CONSTANTS, write_int
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.layout import SHORT, WIDTH, Expr, Group, fits, flat_of, lay, quoted
from tapkit.image.tas.shapes import Shape, Template
from tapkit.image.tas.words import LINKS

if TYPE_CHECKING:
    from tapkit.image.tas.writer import Writer

_LONG = 90  # a string of so many characters is not wrapped if they are ASCII; see also SHORT
_PLAIN = 1e16  # floats below are written without an exponent, or with a negative one
_HUGE = 600  # a statement so long may have an int in it that is better hexadecimal
_INDENT = "    "
_FEW = 20  # atoms that may fit on a line


class Instances:
    """Writes instances for a writer."""

    def __init__(self, writer: Writer):
        self.writer = writer
        self._special = set(spellings.SPELLINGS) | set(writer.known.dataclasses)

    def write(self, node: Object, shape: Shape) -> None:  # noqa: C901  # the hot path
        """A statement for an instance, or for what is left of a shell."""
        writer, survey = self.writer, self.writer.survey
        names = writer.names
        state = node.steps[1]
        key = id(node)
        if shape.used is None:
            self._prepare(shape)
        if shape.special or node is writer.root or id(state) in survey.shared:
            self.write_slowly(node)
            return
        values = state[1::2]
        if key in survey.links:
            unlinked = self._unlinked(shape, values, survey.links[key])
            if unlinked is None:
                self.write_slowly(node)
                return
            shape = unlinked
        quotes = True
        if shape.strings is not None:
            texts = shape.strings(values)
            text = "".join(texts)
            if (
                not text.isprintable()
                or '"' in text
                or "\\" in text
                or (
                    len(text) > SHORT
                    and max(map(len, texts)) > (_LONG if text.isascii() else SHORT)
                )
            ):
                quotes = False
        broken = False
        for at in shape.others if quotes else shape.odd:
            value = values[at]
            text = names.get(id(value)) or self._part(shape.names[at], value)
            values[at] = text
            broken = broken or "\n" in text
        for at in shape.floats:
            if not -_PLAIN < values[at] < _PLAIN:
                values[at] = self._part(shape.names[at], values[at])
        shell = key in survey.shells
        template = shape.templates[shell + shell + quotes] or self._template(shape, shell, quotes)
        if shell:
            name = names[key]
        else:
            hint = survey.hints.get(key)
            variables = writer.variables
            used = shape.used if hint is None else variables.used_by(hint)
            name = variables.next(used)  # type: ignore[arg-type]  # it is prepared
            names[key] = name
        writer.blocks.append(_filled(template, name, values, broken))

    def _prepare(self, shape: Shape) -> None:
        """Work out what all instances of a shape have in common."""
        name = (shape.call.module, shape.call.name)
        shape.special = name in self._special
        shape.used = self.writer.variables.used_by_class(shape.call)

    def _template(self, shape: Shape, shell: bool, quotes: bool) -> Template:
        self.writer.helper("complete" if shell else "instance")
        local = self.writer.imports.local[shape.call.module, shape.call.name]
        return shape.template(local, shell, quotes)

    def _unlinked(self, shape: Shape, values: list[Node], links: set[int]) -> Shape | None:
        """Take out of values what is assigned later; the shape of what is left."""
        places = tuple([at for at in shape.others if id(values[at]) in links])
        last = len(values)
        while last and last - 1 in places:  # what is last comes last again; others get a None
            last -= 1
        del values[last:]
        for at in places:
            if at < last:
                values[at] = None
        if places in shape.unlinked:
            return shape.unlinked[places]
        state = Dict.of(zip(shape.names, values, strict=False))
        found = self.writer.survey.shapes.of(shape.call, state)
        if found is not None:
            shape.unlinked[places] = found
            if found.used is None:
                self._prepare(found)
        return found

    def _part(self, name: str, value: Node) -> str:
        """What an attribute is, laid out as a line or several of an exploded statement."""
        if type(value) is Dict or type(value) is list:
            flat = _flat(value)
            if flat is not None and len(_INDENT) + len(name) + len(flat) + 2 <= WIDTH:
                return flat
        expr = self.writer.say(value)
        if type(expr) is str:
            return expr
        lines: list[str] = []
        lay(lines, _INDENT, f"{name}=", expr, ",")
        return "\n".join(lines)[len(_INDENT) + len(name) + 1 : -1]

    def write_slowly(self, node: Object) -> None:
        """The same for any instance."""
        writer, survey = self.writer, self.writer.survey
        state = node.steps[1]
        key = id(node)
        shell = key in survey.shells
        links = survey.links.get(key, ())
        if not state or id(state) in survey.shared or not attributes_only(state):
            self._odd_state(node, shell)
            return
        module_name = (node.call.module, node.call.name)
        callable_ = module_name in self._special and not shell and not links
        if callable_ and self._by_its_call(node, module_name):
            return
        words = attributes(writer, state, links)
        if shell and words:
            opening, first = f"{writer.helper('complete')}(", writer.names[key]
        elif shell:
            return
        else:
            first = writer.imports.local[module_name]
            opening = f"{writer.new_name(node)} = {writer.helper('instance')}("
        writer.statement("", Group(opening, [("", first), *words], ")"))

    def _odd_state(self, node: Object, shell: bool) -> None:
        """An instance whose state can't be written as keywords: empty, shared, odd names."""
        writer = self.writer
        if not shell:
            writer.begin(node)
        state = node.steps[1]
        name = writer.names[id(node)]
        if state or id(state) in writer.survey.shared:
            if id(node) in writer.survey.links:
                return  # the state comes with the links
            words = [("", name), ("", writer.say(state))]
            writer.statement("", writer.expr_call(writer.helper("set_state"), words))
        else:
            writer.statement("", f"{writer.helper('complete')}({name})")

    def _by_its_call(self, node: Object, name: tuple[str, str]) -> bool:
        """Write an instance by its class's own call, if that makes the same."""
        writer = self.writer
        state = node.steps[1]
        fields = writer.known.dataclasses.get(name)
        expr: Expr = None
        if fields is not None and fields == tuple(state[::2]):
            local = writer.imports.local[name]
            writer.declare("dataclass_fields", local, fields)
            expr = writer.expr_call(local, attributes(writer, state))
        elif name in spellings.SPELLINGS:
            expr = writer.natural(node)
        if expr is None:
            return False
        writer.exprs[id(node)] = expr
        parts = getattr(expr, "parts", ())
        small = flat_of(expr) is not None and all(not isinstance(part, Group) for _, part in parts)
        if id(node) in writer.survey.shared or node is writer.root or not small:
            writer.give_name(node, expr)
        return True

    def links(self) -> list[str]:
        """The block that comes last: attributes assigned when all is made."""
        writer, survey = self.writer, self.writer.survey
        names = writer.names
        lines: list[str] = []
        for holder in survey.linked:
            state = holder.steps[1]
            ids = survey.links[id(holder)]
            shared = id(state) in survey.shared
            of = names.get(id(holder)) or writer.name_of(holder)
            variable = writer.name_of(state) if shared else of
            for at in range(1, len(state), 2):
                key = id(state[at])
                if key in ids:
                    name = state[at - 1]
                    place = f"[{quoted(name)}]" if shared else f".{name}"
                    lines.append(f"{variable}{place} = {names.get(key) or writer.say(state[at])}")
            if shared:
                lines.append(f"{writer.helper('set_state')}({of}, {variable})")
        return ["\n".join([LINKS, *lines])] if lines else []


def _flat(node: list[Node]) -> str | None:
    """A dict or list that holds nothing but short plain atoms, on a line; None for any other."""
    if len(node) > _FEW:
        return None
    texts: list[str] = []
    for value in node:
        kind = type(value)
        if kind is str:
            if len(value) > SHORT or '"' in value or "\\" in value or not value.isprintable():
                return None
            texts.append(f'"{value}"')
        elif kind is int or kind is float:
            if not -_PLAIN < value < _PLAIN:
                return None
            texts.append(repr(value))
        elif kind is bool or value is None:
            texts.append(CONSTANTS[value])
        else:
            return None
    if type(node) is Dict:
        entries = [f"{texts[at]}: {texts[at + 1]}" for at in range(0, len(texts) - 1, 2)]
        text = f"{{{', '.join(entries)}}}"
    else:
        text = f"[{', '.join(texts)}]"
    return text if text.isascii() else None


def _filled(template: Template, name: str, values: list[Any], broken: bool) -> str:
    """A statement from its template. `broken`: a part has several lines."""
    fields = (name, *values)
    try:
        if broken or template.wide:
            text = template.exploded % fields
            if not broken and len(text) - template.more <= WIDTH:
                line = template.flat % fields
                if fits(line):
                    template.wide = False
                    text = line
        else:
            text = template.flat % fields
            if len(text) > WIDTH or not fits(text):
                template.wide = True
                text = template.exploded % fields
        if len(text) <= _HUGE:
            return text
    except ValueError:  # an int that Python refuses to write as a decimal
        text = ""
    written = [write_int(value) if type(value) is int else value for value in values]
    if text and written == values:
        return text
    return _filled(template, name, written, broken)


def attributes(writer: Writer, state: Dict, links: Collection[int] = ()) -> list[tuple[str, Expr]]:
    """Attributes as keyword arguments. A link that is not at the end keeps its place by a None."""
    found: list[tuple[str, Expr]] = []
    missing: list[tuple[str, Expr]] = []
    for name, value in state.items():
        if id(value) in links:
            missing.append((f"{name}=", "None"))
            continue
        found += [*missing, (f"{name}=", writer.say(value))]
        missing.clear()
    return found
