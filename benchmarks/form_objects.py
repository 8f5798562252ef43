"""The application whose image the benchmark of forms saves; peers import it as it is.

Services hold factories, factories hold users, each user has a counter; everything refers back
to what holds it, and some parts are shared.
"""

from __future__ import annotations

from typing import Any

USERS = 50  # of a factory


class Service:
    def __init__(self, name: str, parent: Service | None, port: int = 0):
        self.name = name
        self.parent = parent
        self.port = port
        self.services: list[Service] = []
        self.factory: Factory | None = None


class Factory:
    def __init__(self, service: Service, policy: dict[str, Any]):
        self.service = service
        self.policy = policy
        self.quotes = ["An apple a day keeps the doctor away.", 'Ask "why?" & listen.']
        self.allow = ["127.0.0.1", "::1"]  # no set: AOT can't save one
        self.users: dict[str, User] = {}


class User:
    def __init__(self, number: int, factory: Factory):
        self.name = f"user {number}"
        self.number = number
        self.balance = number * 0.01
        self.active = True
        self.note = None
        self.factory = factory
        self.counter = Counter(number)


class Counter:
    def __init__(self, start: int):
        self.hits = start
        self.days = {"monday": start, "friday": 0}


def application(count: int) -> Service:
    """An application of `count` objects that are instances."""
    root = Service("qotd", None)
    policy = {"limit": 100, "banner": b"\x00welcome\xff"}
    made = 1
    while made < count:
        service = Service(f"service {len(root.services)}", root, 8000 + len(root.services))
        service.factory = Factory(service, policy)
        root.services.append(service)
        made += 2
        for number in range(made, min(made + 2 * USERS, count), 2):
            user = User(number, service.factory)
            service.factory.users[user.name] = user
            made += 2
    return root


def size(root: Service) -> int:
    """How many services and users there are: what loading must bring back."""
    return sum(1 + len(service.factory.users) for service in root.services if service.factory)
