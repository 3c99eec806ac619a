#!/usr/bin/env python3
"""Follows the orders of an Orderwright service: counts how many stand where, each event exactly once.

    python3 follow_orders.py http://127.0.0.1:8080 [--key KEY] [--state orders.sqlite] [--until-idle]

It asks for the events behind the place where it stopped, and stores what it makes of them in one transaction with the new
place. However often it is killed, no event is missed and none counts twice. Needs Python 3.9 and nothing else.
"""

import argparse
import json
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

WAIT_S = 20


def open_state(path):
    state = sqlite3.connect(path, isolation_level=None)
    state.execute("create table if not exists place (position integer not null)")
    state.execute("create table if not exists orders (order_id text primary key, status text not null)")
    if state.execute("select count(*) from place").fetchone() == (0,):
        state.execute("insert into place values (0)")
    return state


def ask(base, key, after, wait):
    query = urllib.parse.urlencode({"after": after, "limit": 200, "wait": wait})
    request = urllib.request.Request(f"{base}/events?{query}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=wait + 30) as answer:
        return json.load(answer)


def take(state, page):
    """What happened and how far we came: both or neither."""
    state.execute("begin immediate")
    for event in page["items"]:
        if "status" in event:
            state.execute(
                "insert into orders values (?, ?) on conflict (order_id) do update set status = excluded.status",
                (event["order_id"], event["status"]),
            )
    state.execute("update place set position = ?", (page["next"],))
    state.execute("commit")


def tell(state):
    counts = state.execute("select status, count(*) from orders group by status order by status").fetchall()
    print(json.dumps(dict(counts)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the service's address")
    parser.add_argument("--key", help="an API key with the scope orders:read")
    parser.add_argument("--state", default="orders.sqlite", help="where the place is kept")
    parser.add_argument("--until-idle", action="store_true", help="end when there is nothing more")
    options = parser.parse_args()
    if not options.base.startswith(("http://", "https://")):
        parser.error("the address begins with http:// or https://, such as http://localhost:8080")
    state = open_state(options.state)
    while True:
        (after,) = state.execute("select position from place").fetchone()
        try:
            page = ask(options.base, options.key, after, 0 if options.until_idle else WAIT_S)
        except urllib.error.HTTPError as refusal:
            problem = json.load(refusal)
            if not problem.get("retryable"):
                sys.exit(f"{problem['title']}: {problem['detail']}")
            time.sleep(1)
            continue
        except OSError as away:
            print(f"the service is away: {away}", file=sys.stderr)
            time.sleep(1)
            continue
        take(state, page)
        if page["items"]:
            tell(state)
        if options.until_idle and not page["has_more"]:
            return


if __name__ == "__main__":
    main()
