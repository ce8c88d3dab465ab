"""The guestbook's page: GET shows the entries, POST adds one. Each request prints a line."""

import html
import http.server
import os
import urllib.parse

import psycopg2

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id SERIAL PRIMARY KEY, author TEXT NOT NULL, words TEXT NOT NULL, answer TEXT,
    written TIMESTAMPTZ NOT NULL DEFAULT now()
)"""


def query(sql: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            query("SELECT 1")
            self.answer(200, "ok\n")
            return
        rows = query("SELECT author, words, answer FROM entries ORDER BY id DESC LIMIT 50")
        entries = "".join(
            f"<li><b>{html.escape(str(author))}</b>: {html.escape(str(words))}"
            f"{' <i>' + html.escape(str(answer)) + '</i>' if answer else ''}</li>"
            for author, words, answer in rows
        )
        greeting = html.escape(os.environ["GREETING"])
        self.answer(
            200,
            f"<!doctype html><title>Guestbook</title><h1>{greeting}</h1>"
            '<form method="post"><input name="author" placeholder="name"><input name="words" placeholder="words">'
            f"<button>Sign</button></form><ul>{entries}</ul>\n",
        )

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", "0")), 64_000)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        author, words = form.get("author", ["somebody"])[0], form.get("words", [""])[0]
        query("INSERT INTO entries (author, words) VALUES (%s, %s)", author[:80], words[:500])
        self.send_response(303)
        self.send_header("Location", "/")
        self.end_headers()

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/healthz":
            print(f"{self.client_address[0]} {format % args}")


if __name__ == "__main__":
    query(SCHEMA)
    print("guestbook is open on port 8000")
    http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
