"""Answers entries that have no answer yet, one a turn."""

import os
import signal
import threading

import psycopg2

ANSWER = """
UPDATE entries SET answer = 'Thank you, ' || author || '!'
WHERE id = (SELECT id FROM entries WHERE answer IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, author"""


def main() -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    print("worker is waiting for entries")
    while not stopping.is_set():
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('entries')")
            row = None
            if cursor.fetchone()[0]:
                cursor.execute(ANSWER)
                row = cursor.fetchone()
        if row is None:
            stopping.wait(1)
        else:
            print(f"answered entry {row[0]} of {row[1]}")
    print("worker stops")


if __name__ == "__main__":
    main()
