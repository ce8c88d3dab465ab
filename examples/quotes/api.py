"""Answers each request with a quote and the name of the pod that gave it; needs the key that the gateway knows."""

import http.server
import json
import os
import pathlib

KEY = pathlib.Path("/run/secrets/api_key").read_text().strip()
QUOTES = [
    "Simplicity is prerequisite for reliability.",
    "Make it work, make it right, make it fast.",
]


class Api(http.server.BaseHTTPRequestHandler):
    served = 0

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(200, {"ok": True})
        elif self.headers.get("X-Api-Key") != KEY:
            self.answer(403, {"error": "wrong key"})
        else:
            Api.served += 1
            quote = QUOTES[Api.served % len(QUOTES)]
            self.answer(
                200,
                {
                    "quote": quote,
                    "pod": os.uname().nodename,
                    "greeting": os.environ["GREETING"],
                    "language": os.environ["QUOTE_LANGUAGE"],
                },
            )

    def answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/healthz":
            print(format % args)


http.server.ThreadingHTTPServer(("", 8000), Api).serve_forever()
