"""Mistakes in a .tax: each is told with its place, what is wrong and what would be right."""

from __future__ import annotations

import pickle

import pytest

from tapkit.errors import ImageError
from tapkit.image import tax
from tapkit.image.tax.blame import blame

QOTD = """\
<?xml version="1.0" encoding="utf-8"?>
<application tapkit="1" class="tapkit.application.Application" id="qotd">
  <name>qotd</name>
  <services type="list">
    <item class="tapkit.internet.TCPServer">
      <port type="int">8007</port>
      <quoter class="T.Quoter" id="quoter"><quote>An apple</quote></quoter>
      <hook type="method" ref="quoter" name="getQuote"/>
      <table type="dict"><entry><key type="int">1</key><value>x</value></entry></table>
      <parent ref="qotd"/>
    </item>
  </services>
</application>
"""
PORT = '<port type="int">8007</port>'

SLIPS = [
    # a value that is not of its type
    ("8007", "80O7", "6:24: port: '80O7' is not an int; write digits like 8007 or 0x1f47"),
    (PORT, '<port type="bool">yes</port>', "6:25: port: 'yes' is not a bool; write true or false"),
    (PORT, '<port type="float">1,5</port>', "6:26: port: '1,5' is not a float"),
    (PORT, '<port type="none">x</port>', "6:25: port: none has no value"),
    (PORT, '<port type="bytes">\xe4</port>', "6:26: port: bytes beyond ASCII need encoding="),
    (PORT, '<p type="bytes" encoding="base64">!</p>', "6:41: p: this is not base64"),
    (PORT, '<p type="bytes" encoding="rot13"/>', 'p: encoding="rot13" is unknown'),
    (PORT, '<p type="date">2004-02-30</p>', "6:22: p: day is out of range for month"),
    (PORT, '<p type="timedelta">soon</p>', "6:27: p: 'soon' is not a timedelta; write 1:30:00"),
    (PORT, '<p type="datetime"><at>x</at><tzinfo type="none"/></p>', "p: 'x' is not a datetime"),
    (PORT, '<p type="UUID">x</p>', "6:22: p: 'x' is not a UUID"),
    (PORT, '<p type="Decimal">1,5</p>', "'1,5' is not a Decimal"),
    (PORT, '<p type="range" start="0"/>', "p: a range is written with"),
    (PORT, '<p type="deque" maxlen="-1"/>', "6:23: maxlen: '-1' is not a length"),
    (PORT, '<p escape="backslash">a\\b</p>', "6:29: p: \\b is no escape; a backslash is \\\\"),
    (PORT, '<p escape="url">a</p>', 'escape="url" is unknown'),
    (PORT, f'<p type="int">{"9" * 5000}</p>', "an int of 5000 digits must be hexadecimal"),
    # types, classes, attributes
    ('type="int"', 'type="itn"', '6:13: type="itn" is unknown; did you mean int?'),
    ('type="list"', 'type="List"', '4:13: type="List" is unknown; did you mean list?'),
    ('type="list"', 'type="Account"', "an object of a class of your own has class= instead"),
    ('"T.Quoter"', '"Quoter"', "7:15: 'Quoter' does not say which module it is in"),
    ('"T.Quoter"', '"T Quoter"', "7:15: 'T Quoter' "),
    ("class=", "clas=", "2:25: clas= means nothing here; did you mean class?"),
    ('type="list"', 'type="list" class="a.B"', "4:25: type= and class= exclude each other"),
    ('class="T.Quoter"', 'class="T.Quoter" call="T.f"', "class= and call= exclude each other"),
    ('class="T.Quoter"', 'class="T.Quoter" state="x"', 'state="x" is unknown'),
    (PORT, '<p call="a.f" how="new"/>', 'how="new" is unknown'),
    ('name="getQuote"', "", "8:7: a method has name= or function="),
    ('ref="quoter" name', "name", "8:7: a method lacks its object; add ref= or <self>"),
    # identity
    ('ref="qotd"', 'ref="qotdd"', '10:15: there is no id="qotdd"; did you mean qotd?'),
    ('id="quoter"', 'id="qotd"', '7:32: id="qotd" is there twice'),
    ('id="quoter"', 'id="a b"', '7:32: id="a b" is no name'),
    (PORT, '<p type="tuple" id="t"><item ref="t"/></p>', "6:7: a tuple holds itself"),
    ('<parent ref="qotd"/>', '<parent ref="qotd">x</parent>', "10:26: a reference holds nothing"),
    # nesting
    ('<key type="int">1</key>', "", "9:26: <entry> lacks its <key>"),
    ("<value>x</value>", "", "9:26: <entry> lacks its <value>"),
    (
        "<value>x</value>",
        "<valu>x</valu>",
        "9:56: <valu> cannot stand in <entry>; did you mean value",
    ),
    ("An apple", "An <b>apple</b>", "7:54: <b> cannot stand in <quote>, which holds text"),
    (PORT, f"stray {PORT}", "6:7: stray text 'stray' in <item>; remove it"),
    ("</item>", "</item><x>1</x>", "11:12: <x> cannot stand here; <services> holds <item>"),
    ("<name>qotd</name>", "<name>a</name><name>b</name>", "3:17: name is here twice"),
    (PORT, '<p call="a.f"><arg>1</arg></p>', "6:21: <arg> cannot stand in <p>; did you mean args?"),
    (PORT, '<p call="a.f"><item/><state/></p>', "<item> stands beside other parts"),
    (PORT, '<p type="call"/>', "what is called is said twice, or not at all"),
    (PORT, '<p type="code" what="f"/>', "6:7: code lacks its <data>"),
    (PORT, '<p type="code" what="f"><data>AAAA</data></p>', "the packed code is damaged"),
    (PORT, "<attr>x</attr>", "6:7: <attr> does not say which attribute it is"),
    (PORT, "<?php x?>" + PORT, "6:7: <?php?> means nothing here"),
    # XML itself
    ("</port>", "</prt>", "6:28: </prt> closes <port> opened at line 6, column 7"),
    ("</services>\n", "", "12:3: </application> closes <services> opened at line 4, column 3"),
    ("</application>\n", "", "12:14: the file ends inside <application> opened at line 2"),
    ("An apple", "AT&T", "7:53: an & that begins no reference; write &amp; for &"),
    ("An apple", "a < b", "7:54: not well-formed (invalid token); write &lt; for <"),
    ("An apple", "a \x01", "a control character needs escape="),
    ("An apple", "&copy;", "7:51: undefined entity; write &amp; for &"),
    ("</application>", "</application><x/>", "13:15: junk after document element"),
    ('tapkit="1"', "", "2:1: this is no image: the outermost element has no tapkit="),
    ('tapkit="1"', 'tapkit="9"', '2:1: tapkit="9": an unknown version; there is 1'),
    ("<application", "<!DOCTYPE x><application", "2:1: an image has no document type"),
    ('encoding="utf-8"', 'encoding="koi8-r"', "1:1: the encoding koi8-r is not supported"),
]


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(tax.TaxError) as caught:
        tax.read(text.encode() if isinstance(text, str) else text, "qotd.tax")
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(("right", "wrong", "told"), SLIPS, ids=range(len(SLIPS)))
def test_a_slip_is_told_with_its_place_and_a_hint(right, wrong, told):
    """Each kind of slip: file, line, column, what, and what to do; and nothing else is blamed."""
    assert right in QOTD
    found = mistakes(QOTD.replace(right, wrong, 1))
    place, _, words = told.partition(": ") if told[0].isdigit() else ("", "", told)
    line = next((each for each in found if words in each), "")
    assert words in line, found
    assert line.startswith(f"qotd.tax:{place}"), found
    assert len([each for each in found if "there is no id" not in each]) <= 1 or len(found) == 1


def test_the_line_and_a_caret_are_under_the_first_line():
    """What an administrator sees: one line to grep, the line, and where in it."""
    with pytest.raises(tax.TaxError) as caught:
        tax.read(QOTD.replace("8007", "80O7").encode(), "qotd.tax")
    assert str(caught.value).split("\n") == [
        "qotd.tax:6:24: port: '80O7' is not an int; write digits like 8007 or 0x1f47",
        '          <port type="int">80O7</port>',
        "                           ^",
    ]
    assert caught.value.where == "qotd.tax:6:24"
    assert caught.value.excerpt.endswith("^")
    assert isinstance(caught.value, ImageError)


def test_all_mistakes_of_a_file_are_told_in_one_go_and_in_order():
    """Five slips in one edit are five messages, from top to bottom."""
    text = QOTD.replace("8007", "x").replace('ref="qotd"', 'ref="z"').replace("</item>", "</item>y")
    text = text.replace('type="dict"', 'type="dct"').replace("<name>", '<name type="strr">')
    places = [each.split(": ")[0] for each in mistakes(text)]
    assert places == [f"qotd.tax:{at}" for at in ("3:9", "6:24", "9:14", "10:15", "11:12")]


def test_more_than_twenty_mistakes_are_counted():
    """A thousand mistakes do not make a thousand messages."""
    items = "<item type='int'>x</item>" * 1000
    with pytest.raises(tax.TaxError) as caught:
        tax.read(f"<image tapkit='1' type='list'>{items}</image>".encode(), "x")
    assert len(caught.value.mistakes) == 20
    assert str(caught.value).endswith("... and 980 more")


def test_columns_count_characters_and_long_lines_are_cut():
    """Umlauts before the mistake, and 10,000 characters: the caret is still under it."""
    text = QOTD.replace(PORT, f"<name_>{'ä' * 10_000}</name_><port type='int'>x</port>")
    with pytest.raises(tax.TaxError) as caught:
        tax.read(text.encode(), "q")
    _, line, caret = str(caught.value).split("\n")
    assert caught.value.where == f"q:6:{7 + 7 + 10_000 + 8 + 17}"
    assert len(line) < 120
    assert line[len(caret) - 1] == "x"


def test_bytes_that_are_no_text_are_told_with_their_place():
    """A file cut by an editor of another encoding."""
    assert mistakes(QOTD.encode().replace(b"An apple", b"\xc4pfel")) == [
        "qotd.tax:7:51: byte 0xc4 is no UTF-8; save the file as UTF-8"
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_what_editors_save_is_read(encoding):
    """A byte order mark or another encoding that the file declares is no mistake."""
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    text = QOTD.replace("An apple", "Äpfel").replace("utf-8", name)
    root = tax.read(text.encode(encoding), "q").root
    assert root.steps[1][3][0].steps[1][3].steps[1] == ["quote", "Äpfel"]


def test_an_error_survives_pickling():
    """It may come from another process."""
    with pytest.raises(tax.TaxError) as caught:
        tax.read(b"<x>", "q")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_class_that_is_missing_at_load_is_shown_in_the_file():
    """Whoever loads the image can say where the class is named, and what may have been meant."""
    text = QOTD.replace("T.Quoter", "tapkit.internet.TCPSever", 1).encode()
    error = blame(text, "q", "tapkit.internet", "TCPSever", "tapkit.internet has no 'TCPSever'")
    assert str(error).split("\n")[0] == (
        "q:7:22: tapkit.internet has no 'TCPSever'; did you mean tapkit.internet.TCPServer?"
    )
    assert blame(text, "q", "other", "Thing", "x") is None
