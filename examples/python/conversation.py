"""A whole conversation of two clients, with an outage of the server in the middle.

    python3 conversation.py http://127.0.0.1:8000

It prints `kill` when the server is to be ended, and goes on when it is told anything on its standard input: the server may
come back before or after that. Ends with 0 when nobody has missed, doubled or reordered anything.
"""
import asyncio, sys, time, uuid

from client import Client


async def until(true, what, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        await asyncio.sleep(0.02)


def state(client, room_id):
    room = client.rooms[room_id]
    head = {key: room["room"].get(key) for key in ("name", "topic", "archived_at")}
    return {"rev": room["rev"], "members": room["members"], "messages": room["messages"], **head}


async def main(url):
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("ada", "bob")]
    ada, bob = Client(url), Client(url)
    for client, name in zip((ada, bob), names):
        await client.enter("/api/register", username=name, email=name + "@example.org", password="correct horse")
    room = await ada.api("POST", "/api/chat/rooms", {"name": "hall", "kind": "public", "members": [bob.me]})
    room, path = room["id"], f"/api/chat/rooms/{room['id']}"
    runs = [asyncio.create_task(client.run()) for client in (ada, bob)]

    def row(client, id):
        messages = client.rooms.get(room, {}).get("messages", {}).values()
        return next((message for message in messages if message["id"] == id), None)

    first = await ada.say(room, f"hello @{names[1]}")
    await until(lambda: row(bob, first), "the first message")
    hello = row(bob, first)["seq"]
    assert bob.rooms[room]["mentioned"] == {hello}
    await bob.send({"type": "react", "room_id": room, "seq": hello, "emoji": "👍", "on": True})
    await bob.send({"type": "read", "room_id": room, "seq": hello})
    await until(lambda: row(ada, first)["reactions"] == {"👍": 1}, "a reaction")
    await until(lambda: not bob.rooms[room]["mentioned"], "the marker")
    reply = await bob.say(room, "hello yourself", reply_to=hello)
    await until(lambda: row(ada, reply), "a reply")
    assert row(ada, reply)["reply_to"] == hello
    print("live: messages, a mention, a reaction, a marker, a reply", flush=True)

    # Bob is away while things happen.
    runs[1].cancel()
    await asyncio.gather(runs[1], return_exceptions=True)
    waiting = await bob.say(room, "written without a connection")
    doomed = await ada.say(room, f"@{names[1]}, to be deleted", reply_to=hello)
    await until(lambda: row(ada, doomed), "my own message")
    await ada.send({"type": "react", "room_id": room, "seq": hello, "emoji": "🎉", "on": True})
    await ada.send({"type": "edit", "room_id": room, "seq": hello, "content": "hello to all"})
    await ada.send({"type": "delete", "room_id": room, "seq": row(ada, doomed)["seq"]})
    await ada.api("PATCH", path, {"topic": "what happened meanwhile"})
    await until(lambda: "deleted_at" in row(ada, doomed), "a deletion")

    # The server ends amid fifty messages; fifty more are said while it is away.
    burst = [await ada.say(room, f"number {number}") for number in range(50)]
    print("kill", flush=True)
    await until(lambda: ada.socket is None, "the end of the connection")
    burst += [await ada.say(room, f"number {number}") for number in range(50, 100)]
    await asyncio.to_thread(sys.stdin.readline)
    runs[1] = asyncio.create_task(bob.run())
    for id in burst + [waiting, doomed]:
        await until(lambda: row(ada, id) and row(bob, id), "a message of the outage")
    await until(lambda: not ada.outbox and not bob.outbox, "the last acks")
    print("the outage: 100 messages and one that waited", flush=True)

    # A token is renewed on a live socket, and a second room comes and goes.
    token, socket, ada.renew_at = ada.tokens["access_token"], ada.socket, 0
    side = (await ada.api("POST", "/api/chat/rooms", {"name": "side", "kind": "private", "members": [bob.me]}))["id"]
    aside = await ada.say(side, "psst")
    await until(lambda: side in bob.rooms and 1 in bob.rooms[side]["messages"], "a room that is new")
    await bob.api("POST", f"/api/chat/rooms/{side}/leave")
    await until(lambda: side not in bob.rooms and bob.me not in ada.rooms[side]["members"], "the end of a membership")
    await until(lambda: aside not in ada.outbox and ada.tokens["access_token"] != token, "a newer token")
    last = await ada.say(room, f"and on it goes, @{names[1]}")
    await until(lambda: row(ada, last) and row(bob, last), "the last message")
    assert ada.socket is socket, "the socket lives on"
    for client in (ada, bob):
        told, held = await client.api("GET", path), client.rooms[room]
        assert (told["last_seq"], told["last_read_seq"]) == (held["last_seq"], held["last_read_seq"])
        assert (set(told["mentioned"]), set(told["deleted"])) == (held["mentioned"], held["deleted"])
        assert told["unread"] == held["last_seq"] - held["last_read_seq"] - len(held["deleted"])
    assert len(bob.rooms[room]["mentioned"]) == 1, "what was deleted mentions nobody"
    print("a newer token, a room that came and went, what is unread", flush=True)

    fresh = Client(url)
    await fresh.enter("/api/login", username=names[0], password="correct horse")
    runs.append(asyncio.create_task(fresh.run()))
    await until(lambda: row(fresh, last) and room not in fresh.asked, "a fresh client")
    assert state(ada, room) == state(bob, room) == state(fresh, room)
    messages = sorted(state(fresh, room)["messages"].values(), key=lambda message: message["seq"])
    assert [message["seq"] for message in messages] == list(range(1, 106)), "without a hole, in order"
    assert len({message["id"] for message in messages}) == 105, "nothing twice"
    numbers = [message["content"] for message in messages if message.get("content", "").startswith("number")]
    assert numbers == [f"number {number}" for number in range(100)], "in the order in which they were said"
    assert row(fresh, first)["content"] == "hello to all" and "content" not in row(fresh, doomed)
    assert state(fresh, room)["topic"] == "what happened meanwhile"
    print("three clients hold the same 105 messages", flush=True)
    for run in runs:
        run.cancel()


if len(sys.argv) != 2:
    sys.exit(__doc__)
asyncio.run(main(sys.argv[1]))
