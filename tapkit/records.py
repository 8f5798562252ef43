"""Records: small immutable values with named fields, that cost a start nothing to define.

`typing.NamedTuple` and `dataclasses` write Python source for each class and compile it, 0.15 and
1 ms a class whenever their module is imported. A start imports thirty such classes: they were a
tenth of the time to the first client. So classes on that way are Records; any other may be what
the standard library has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from typing import ClassVar

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Record:
    """A value whose fields are what its class annotates, in that order, with these defaults.

        class Point(Record):
            x: int
            y: int = 0

    Equal to a record of its class with equal fields. As of a NamedTuple there are `_fields`,
    `_replace` and `_asdict`, but a record is no tuple.

    Raises:
        TypeError: made with too few values, too many, or one for a field that it has not.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _known: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._fields += tuple(cls.__annotations__)
        cls._known = frozenset(cls._fields)

    def __init__(self, *values: Any, **named: Any):
        state = self.__dict__
        state.update(zip(self._fields, values, strict=False))
        state.update(named)
        if state.keys() != self._known or len(values) + len(named) != len(self._fields):
            self._complete(values, named)

    def _complete(self, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Fill in the defaults, which are the class's attributes."""
        fields, name = self._fields, type(self).__name__
        strange = named.keys() - self._known | named.keys() & set(fields[: len(values)])
        if strange or len(values) > len(fields):
            raise TypeError(f"{name} takes {', '.join(fields)}: not {strange or values}")
        missing = [field for field in fields if not hasattr(self, field)]
        if missing:
            raise TypeError(f"{name} needs {', '.join(missing)}")
        self.__dict__.update((field, getattr(self, field)) for field in fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} does not change: see _replace")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} does not change: see _replace")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *map(self.__dict__.get, self._fields)))

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({told})"

    def _asdict(self) -> dict[str, Any]:
        """The fields and their values, in order."""
        return {field: getattr(self, field) for field in self._fields}

    def _replace(self, **changed: Any) -> Self:
        """The same, but for these fields."""
        return type(self)(**{**self._asdict(), **changed})
