#!/bin/sh
# Plain Python images have no PostgreSQL driver: fetch one at start, unless the image brings it.
set -e
python3 -c 'import psycopg2' 2>/dev/null || pip install --quiet --target /tmp/site psycopg2-binary
export PYTHONPATH="/tmp/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec python3 "$1"
