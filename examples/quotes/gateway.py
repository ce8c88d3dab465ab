"""Passes requests on to the API with the key from the secret file."""

import http.server
import os
import pathlib
import urllib.error
import urllib.request

KEY = pathlib.Path("/run/secrets/api_key").read_text().strip()


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        request = urllib.request.Request(
            os.environ["UPSTREAM"] + self.path, headers={"X-Api-Key": KEY}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        except OSError as error:
            status, body = 502, f"{error}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("gateway passes on to", os.environ["UPSTREAM"])
http.server.ThreadingHTTPServer(("", 8080), Gateway).serve_forever()
