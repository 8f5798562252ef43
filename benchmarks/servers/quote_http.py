"""The quote over HTTP, for the peers that speak nothing else: `application` by WSGI (gunicorn),
`asgi` by ASGI (uvicorn). One line, and the connection is closed."""

QUOTE = b"An apple a day keeps the doctor away.\r\n"
_LENGTH = str(len(QUOTE))


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", _LENGTH), ("Connection", "close")])
    return [QUOTE]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"content-length", _LENGTH.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": QUOTE})
