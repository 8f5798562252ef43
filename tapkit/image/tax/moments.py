"""Dates and times as text. Pickle packs them into bytes, which say nothing to a reader."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping

from tapkit.image.nodes import Global, Object
from tapkit.image.tax.shapes import call_of, only

_DATE = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?"
_ZONE = r"(?:Z|([+-])([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?"
_DATETIME = re.compile(f"{_DATE}[T ]{_TIME}{_ZONE}")
_DATE_ONLY = re.compile(_DATE)
_TIME_ONLY = re.compile(_TIME + _ZONE)
_DELTA = re.compile(
    r"(?:(-?[0-9]+) days?(?:, *|$))?(?:([0-9]+):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?)?"
)


def spell_datetime(node: Object) -> tuple[str, str] | None:
    return _spell_moment(node, datetime_text)


def spell_time(node: Object) -> tuple[str, str] | None:
    return _spell_moment(node, time_text)


def _spell_moment(node: Object, text_of: Callable[[bytes], str | None]) -> tuple[str, str] | None:
    if only(node, bytes):
        text = text_of(node.args[0])
        return None if text is None else ("", text)
    if not only(node, bytes, Object):
        return None
    text, zone = text_of(node.args[0]), _zone_text(node.args[1])
    return None if text is None or zone is None else ("", text + zone)


def datetime_text(packed: bytes) -> str | None:
    """A datetime's ten bytes, as pickled, in ISO 8601; None if they are not that."""
    if len(packed) != 10 or packed[2] > 12:
        return None  # a month with 128 added to it is a fold, which ISO 8601 cannot say
    _, _, month, day, hour, minute, second, *_ = packed
    year, micro = int.from_bytes(packed[:2], "big"), int.from_bytes(packed[7:], "big")
    try:
        return datetime.datetime(year, month, day, hour, minute, second, micro).isoformat()
    except ValueError:
        return None


def time_text(packed: bytes) -> str | None:
    """A time's six bytes, as pickled, in ISO 8601; None if they are not that."""
    if len(packed) != 6:
        return None
    hour, minute, second, *_ = packed
    micro = int.from_bytes(packed[3:], "big")
    try:
        return datetime.time(hour, minute, second, micro).isoformat()
    except ValueError:
        return None  # with a fold, the hour has 128 added to it


def make_datetime(text: str, attributes: Mapping[str, str]) -> Object:
    found = _DATETIME.fullmatch(text.strip())
    if not found:
        raise KeyError(text)
    year, month, day, hour, minute, second, micro = _numbers(found, 7)
    datetime.datetime(year, month, day, hour, minute, second, micro)
    packed = bytes([year >> 8, year & 255, month, day, hour, minute, second])
    return _moment("datetime", packed + micro.to_bytes(3, "big"), text, found.groups()[7:])


def make_time(text: str, attributes: Mapping[str, str]) -> Object:
    found = _TIME_ONLY.fullmatch(text.strip())
    if not found:
        raise KeyError(text)
    hour, minute, second, micro = _numbers(found, 4)
    datetime.time(hour, minute, second, micro)
    packed = bytes([hour, minute, second]) + micro.to_bytes(3, "big")
    return _moment("time", packed, text, found.groups()[4:])


def _numbers(found: re.Match[str], count: int) -> list[int]:
    """The first groups as numbers; the last is a fraction of a second, in microseconds."""
    groups = [group or "0" for group in found.groups()[:count]]
    return [*map(int, groups[:-1]), int(groups[-1].ljust(6, "0"))]


def _moment(name: str, packed: bytes, text: str, zone: tuple[str | None, ...]) -> Object:
    if zone[0] is None and not text.strip().endswith("Z"):
        return call_of("datetime", name, packed)
    hours, minutes, seconds = (int(part or "0") for part in zone[1:4])
    offset = datetime.timedelta(
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=int((zone[4] or "0").ljust(6, "0")),
    )
    if zone[0] == "-":
        offset = -offset
    datetime.timezone(offset)
    return call_of("datetime", name, packed, call_of("datetime", "timezone", _delta(offset)))


def _delta(value: datetime.timedelta) -> Object:
    return call_of("datetime", "timedelta", value.days, value.seconds, value.microseconds)


def _zone_text(zone: Object) -> str | None:
    """`+02:00` for a fixed offset; None for any other time zone."""
    if not only(zone, Object) or zone.call != Global("datetime", "timezone"):
        return None
    delta = zone.args[0]
    if not only(delta, int, int, int) or delta.call != Global("datetime", "timedelta"):
        return None
    try:
        fixed = datetime.timezone(datetime.timedelta(*delta.args))
    except (ValueError, OverflowError):
        return None
    text = datetime.time(0, tzinfo=fixed).isoformat()
    return text[len("00:00:00") :]


def spell_date(node: Object) -> tuple[str, str] | None:
    if not only(node, bytes) or len(node.args[0]) != 4:
        return None
    packed = node.args[0]
    return "", f"{packed[0] << 8 | packed[1]:04}-{packed[2]:02}-{packed[3]:02}"


def make_date(text: str, attributes: Mapping[str, str]) -> Object:
    found = _DATE_ONLY.fullmatch(text.strip())
    if not found:
        raise KeyError(text)
    year, month, day = map(int, found.groups())
    datetime.date(year, month, day)
    return call_of("datetime", "date", bytes([year >> 8, year & 255, month, day]))


def spell_timedelta(node: Object) -> tuple[str, str] | None:
    if not only(node, int, int, int):
        return None
    try:
        return "", str(datetime.timedelta(*node.args))
    except OverflowError:
        return None


def make_timedelta(text: str, attributes: Mapping[str, str]) -> Object:
    found = _DELTA.fullmatch(text.strip())
    if not found or not text.strip():
        raise KeyError(text)
    days, hours, minutes, seconds = (int(group or "0") for group in found.groups()[:4])
    micro = int((found[5] or "0").ljust(6, "0"))
    try:
        return _delta(datetime.timedelta(days, seconds, micro, minutes=minutes, hours=hours))
    except OverflowError:
        raise ValueError("a timedelta has at most 999999999 days") from None
