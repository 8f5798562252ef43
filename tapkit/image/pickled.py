"""Pickle bytes <-> nodes, symbolically: nothing is imported, looked up or called.

Theory of operation
-------------------
A pickle is a program for a small machine with a stack, a list of marks and a memo. `decompile`
runs that program with nodes in the place of objects, `assemble` writes a program that makes
the same objects. How an object is taken apart was settled by whoever pickled it: the text forms
never decide that, so they cannot disagree with `.tap`.

*Identity is the graph's own* (see `nodes`), so the memo and its ids are gone once a stream is
read. `assemble` gives ids again, to everything that has an identity, at the moment plain
pickle does: a list, dict, set or instance before its content, a tuple, frozenset or the result
of a call after its parts. So a cycle is cut at the same place, and each object is as complete
when it is used as it was in a stream that pickle itself would have written.

*Cycles through what is complete only at its end.* In `t = ([t],)` pickle meets `t` a second time
while it makes it. Having no id for it, it makes it there, inside the list; back outside, it sees
that there is one, drops what it has (POP) and takes that (GET). `assemble` does just the same,
and `popped` tells these POPs from others. For the result of a call this means that the callable
is called twice and one result dropped; the other then gets its state twice, inside and outside.
That is pickle's behaviour, and is kept: the step AGAIN stands between the two.
Only a list, dict, set or instance on the way gives such a cycle an end; a hand edit may ask for a
cycle that has none, which is an ImageError.

*Values.* Strings, bytes and globals are shared by the memo in a pickle, but by value here, and
again in what is assembled. Numbers keep their bits.

*Kept:* every call and step in order; buffers and their order; Python 2's names as Python 3 loads
them; INST and OBJ (whose meaning hangs on their class: call or `__new__`). *Not kept:* protocol and
framing, the batches of APPENDS and SETITEMS, unused ids, where in the stream a discarded call was.
*Refused*, by opcode and offset: persistent ids and extension codes, whose meaning is known only
to the program that loads them; BUILD, APPENDS and their like on what cannot take them (no
pickler writes it, and loading would fail or do to a class what no audit sees); Python 2 strings
that are not ASCII, as `pickle.loads` does by default.

*Deep graphs.* C's *pickler* recurses, its *unpickler* does not. Measured on CPython 3.10.13,
3.11.7, 3.12.1 and 3.13.0: plain nested streams of 1,000,000 lists, tuples or instances with
state, each inside the one before, load in 0.05 to 1.6 s, and the objects are freed without a
crash. (A million nested `slice` objects crash when they are freed; that is no matter of pickle.)
So `assemble` always writes plain nested streams; only the *pickler* needs the flat layout of
`flat`. `decompile` undoes it on the fly, without being asked: `tapkit.styles.same(obj)` is taken
for `obj` itself, so that what follows completes the object where it is, and
`tapkit.styles.last(parts)` for its last part.

Neither direction recurses per level of the graph, nor hashes or compares nodes. Whoever calls
them with a large image does so with the garbage collector off (`collector.no_collector`): both
make a great many containers at once, and it would look at all of them again and again.
"""

from __future__ import annotations

from tapkit.image.assemble import assemble
from tapkit.image.decompile import decompile

__all__ = ["assemble", "decompile"]
