"""Instances with a dict as their state: most of any image, and most of the time it takes.

Those that look alike are written by the templates of their shape. A value that is a variable, a
number or a plain string goes into it as it is; any other is laid out first.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from tapkit.image.nodes import Dict, Node, Object
from tapkit.image.tas import spellings
from tapkit.image.tas.atoms import CONSTANTS, write_int
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.events import DICT
from tapkit.image.tas.layout import SHORT, WIDTH, Expr, Group, fits, flat_of, lay, quoted
from tapkit.image.tas.shapes import SMALL, Leaf, Shape, Template, part_of
from tapkit.image.tas.variables import Stem
from tapkit.image.tas.words import LINKS

if TYPE_CHECKING:
    from tapkit.image.tas.expressions import Expressions
    from tapkit.image.tas.writer import Writer

_LONG: Final = 90  # a string of so many characters is not wrapped if they are ASCII; see also SHORT
_PLAIN: Final = 1e16
_INDENT: Final = "    "
_FEW: Final = 20  # atoms that may fit on a line


class Instances:
    """Writes instances for a writer.

    Parameters:
        writer: it has all of its survey.
    """

    def __init__(self, writer: Writer):
        self.writer = writer
        self.names = writer.names
        self.survey = writer.survey
        self.met = writer.survey.met
        self._special = set(spellings.SPELLINGS) | set(writer.known.dataclasses)
        self._turn = 0
        self._linked: list[str] = [""] * len(writer.survey.links.holders)  # their variables

    def write(self, node: Object, shape: Shape, hint: str | None) -> None:  # noqa: C901  # hot
        """A statement for an instance, or for what is left of a shell."""
        writer, survey, names = self.writer, self.survey, self.names
        state: list[Node] = node.steps[1]
        key: Any = id(node)  # and no int: a compiler would box it again and again
        stem = shape.stem or self._prepare(shape)
        if (
            shape.special
            or node is writer.root
            or (survey.has_variables and id(state) in survey.shared)
        ):
            self._write_special(node, shape, hint)
            return
        values: list[Any] = part_of(state, shape.values)
        quotes = True
        for at in shape.strings:
            text: str = values[at]
            if (
                not text.isprintable()
                or '"' in text
                or "\\" in text
                or (len(text) > SHORT and len(text) > (_LONG if text.isascii() else SHORT))
            ):
                quotes = False
                break
        broken = False
        for at in shape.others if quotes else shape.odd:
            value = values[at]
            found = self._taken(value)
            if found is None:
                if type(value) is DICT or type(value) is list:
                    found = self._leaf(shape, at, value)
                if found is None:
                    found = self._part(shape.names[at], value)
                    broken = broken or "\n" in found
            values[at] = found
        for at in shape.ints:
            number: int = values[at]
            values[at] = str(number) if -SMALL < number < SMALL else write_int(number)
        for at in shape.bools:
            values[at] = "True" if values[at] else "False"
        for at in shape.nones:
            values[at] = "None"
        for at in shape.floats:
            real: float = values[at]
            small = -_PLAIN < real < _PLAIN
            values[at] = repr(values[at]) if small else self._part(shape.names[at], values[at])
        shell = key in survey.shells
        template = shape.templates[shell + shell + quotes] or self._template(shape, shell, quotes)
        if shell:
            name = names[key]
        else:
            variables = writer.variables
            name = variables.next(stem) if hint is None else variables.give(hint)
            names[key] = name
        if shape.links:
            self._linked[survey.links.turns[self._turn]] = name
            self._turn += 1
        writer.blocks.append(_filled(template, name, values, broken))

    def _taken(self, node: Node) -> str | None:
        """The variable of a node; what is met once gives it away, so that `names` stays small."""
        met = self.met
        key: Any = id(node)
        if met is None or key in met or key in self.survey.links.odd:
            return self.names.get(key)
        name = self.names.get(key)
        if name is not None:
            del self.names[key]  # and no `pop`, which a compiler calls as any method
        return name

    def _prepare(self, shape: Shape) -> Stem:
        """Work out what all instances of a shape have in common."""
        name = (shape.call.module, shape.call.name)
        shape.special = name in self._special
        shape.stem = self.writer.variables.stem_of_class(shape.call)
        return shape.stem

    def _template(self, shape: Shape, shell: bool, quotes: bool) -> Template:
        self.writer.helper("complete" if shell else "instance")
        local = self.writer.imports.local[shape.call.module, shape.call.name]
        return shape.template(local, shell, quotes)

    def _write_special(self, node: Object, shape: Shape, hint: str | None) -> None:
        """Write what has a shape, but may be more than that shows."""
        if hint is not None:
            self.survey.hints[id(node)] = hint
        state = node.steps[1]
        self.write_slowly(node, {id(state[2 * at + 1]) for at in shape.links})
        if shape.links:
            self._linked[self.survey.links.turns[self._turn]] = self.names[id(node)]
            self._turn += 1

    def _leaf(self, shape: Shape, at: int, value: list[Node]) -> str | None:
        """A dict or list of nothing but short plain atoms, on a line; None for any other."""
        leaf = shape.leaves[at]
        flat = leaf.fill(value) if leaf is not None and type(value) is DICT else None
        if flat is None:
            flat = _flat(value)
            if flat is not None and leaf is None and type(value) is Dict:
                shape.leaves[at] = _leaf_like(value)
        if flat is None or len(_INDENT) + len(shape.names[at]) + len(flat) + 2 > WIDTH:
            return None
        return flat

    def _part(self, name: str, value: Node) -> str:
        """What an attribute is, laid out as a line or several of an exploded statement."""
        expr = self.writer.say(value)
        if type(expr) is str:
            return expr
        lines: list[str] = []
        lay(lines, _INDENT, f"{name}=", expr, ",")
        return "\n".join(lines)[len(_INDENT) + len(name) + 1 : -1]

    def write_slowly(self, node: Object, links: Collection[int] = ()) -> None:
        """The same for any instance.

        Parameters:
            links: the ids of the values that are assigned when all is made.
        """
        writer, survey = self.writer, self.survey
        state = node.steps[1]
        key = id(node)
        shell = key in survey.shells
        if not state or id(state) in survey.shared or not attributes_only(state):
            self._odd_state(node, shell, links)
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

    def _odd_state(self, node: Object, shell: bool, links: Collection[int]) -> None:
        """An instance whose state can't be written as keywords: empty, shared, odd names."""
        writer = self.writer
        if not shell:
            writer.begin(node)
        state = node.steps[1]
        name = writer.names[id(node)]
        if state or id(state) in writer.survey.shared:
            if links:
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
        """The lines of the block that comes last: attributes assigned when all is made."""
        survey, names = self.survey, self.names
        lines = [LINKS]
        places_of = survey.links.places
        for turn, holder in enumerate(survey.links.holders):
            places, of = places_of[turn], self._linked[turn]
            state: list[Node] = holder.steps[1]
            if not places or (survey.has_variables and id(state) in survey.shared):
                self._link_oddly(lines, holder, places, of)
                continue
            at = 0
            while places >> at:
                if places >> at & 1:
                    value = state[at + at + 1]
                    text = names.get(id(value)) or self.writer.say(value)
                    lines.append(f"{of}.{state[at + at]} = {text}")
                at += 1
        return lines if len(lines) > 1 else []

    def _link_oddly(self, lines: list[str], holder: Object, places: int, of: str) -> None:
        """The lines of an instance without a shape, or whose state has a variable."""
        writer = self.writer
        state = holder.steps[1]
        shared = id(state) in self.survey.shared
        ids = self.survey.links.odd.get(id(holder), ())
        of = of or writer.name_of(holder)
        variable = writer.name_of(state) if shared else of
        for at in range(1, len(state), 2):
            key = id(state[at])
            if places >> (at >> 1) & 1 or key in ids:
                name = state[at - 1]
                place = f"[{quoted(name)}]" if shared else f".{name}"
                lines.append(f"{variable}{place} = {writer.say(state[at])}")
        if shared:
            lines.append(f"{writer.helper('set_state')}({of}, {variable})")


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
            if not -SMALL < value < SMALL:
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


def _leaf_like(node: Dict) -> Leaf | None:
    """What dicts look like that have the same plain keys; None if this one says nothing."""
    keys = node[::2]
    if not keys or {type(key) for key in keys} != {str}:
        return None
    return Leaf(keys, [f'"{key}"' for key in keys])


def _filled(template: Template, name: str, values: list[str], broken: bool) -> str:
    """A statement from its template. `broken`: a part has several lines."""
    if broken or template.wide:
        text = _joined(template.exploded, name, values)
        if not broken and len(text) - template.more <= WIDTH:
            line = _joined(template.flat, name, values)
            if fits(line):
                template.wide = False
                return line
        return text
    text = _joined(template.flat, name, values)
    if len(text) > WIDTH or not (text.isascii() or fits(text)):
        template.wide = True
        text = _joined(template.exploded, name, values)
    return text


def _joined(pieces: list[str], name: str, values: list[str]) -> str:
    """Pieces with a variable and values in their holes, where they stay till the next ones come."""
    pieces[1] = name
    pieces[3::2] = values
    return "".join(pieces)


def attributes(
    writer: Expressions, state: Dict, links: Collection[int] = ()
) -> list[tuple[str, Expr]]:
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
