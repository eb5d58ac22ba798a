"""A chat client for Hearth, from PROTOCOL.md: it keeps each room's state through whatever happens to the connection.

    python3 client.py http://127.0.0.1:8000 ada        then lines as: ROOM TEXT
"""
import asyncio, contextlib, getpass, json, random, sys, urllib.error, urllib.request, uuid
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake


class Refused(Exception):
    """A problem document, or the close code that ends all attempts."""

class Client:
    def __init__(self, url):
        self.url, self.epoch, self.tokens, self.me, self.socket = url, None, None, None, None
        self.rooms = {}  # id: {rev, room, members: {user id: role}, messages: {seq: row}, last_read_seq, mentioned}
        self.outbox = {}  # by id, in order: what isn't acknowledged
        self.waiting = set()  # rooms whose join or sync is unanswered
        self.on_message = lambda message: None

    async def api(self, method, path, body=None):
        def ask():
            request = urllib.request.Request(self.url + path, method=method, headers={"User-Agent": "example/1"})
            if self.tokens:
                request.add_header("Authorization", "Bearer " + self.tokens["access_token"])
            if body is not None:
                request.add_header("Content-Type", "application/json")
                request.data = json.dumps(body).encode()
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                raise Refused(json.loads(error.read())) from None

        return await asyncio.to_thread(ask)

    async def enter(self, path, **body):
        """By /api/login, /api/register or /api/refresh."""
        self.tokens = await self.api("POST", path, body)
        self.me = self.tokens["user"]["id"]

    async def run(self):
        """Keeps a connection for as long as the log-in lives."""
        attempt = 0
        while True:
            pause = None
            try:
                address = self.url.replace("http", "ws", 1) + "/ws"
                async with connect(address, subprotocols=["hearth.v1"], max_size=None) as self.socket:
                    renewing = asyncio.create_task(self.renew())
                    try:
                        await self.send({"type": "auth", "token": self.tokens["access_token"]})
                        async for text in self.socket:  # the library pings, and gives a silent server up
                            frame = json.loads(text)
                            attempt = 0 if frame["type"] == "ready" else attempt
                            pause = frame.get("reconnect_after_ms", pause)
                            await self.receive(frame)
                    finally:
                        renewing.cancel()
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                pass
            code = self.socket.close_code if self.socket else None
            if code and code >= 4500:
                raise Refused(code, self.socket.close_reason)
            if code == 4004:
                await self.enter("/api/refresh", refresh_token=self.tokens["refresh_token"])
            self.socket, attempt = None, attempt + 1
            await asyncio.sleep(pause / 1000 if pause else random.uniform(0.5, min(30, 2**attempt)))

    async def renew(self):
        while not await asyncio.sleep(self.tokens["expires_in"] * 0.75):
            await self.enter("/api/refresh", refresh_token=self.tokens["refresh_token"])
            await self.send({"type": "auth", "token": self.tokens["access_token"]})

    async def send(self, frame):
        with contextlib.suppress(ConnectionClosed):  # the reading side hears of it, too
            if self.socket:
                await self.socket.send(json.dumps(frame))

    async def say(self, room_id, content, **more):
        """Sends a message once, whatever happens; its id."""
        id = str(uuid.uuid4())
        self.outbox[id] = {"type": "message", "ref": id, "room_id": room_id, "id": id, "content": content, **more}
        await self.send(self.outbox[id])
        return id

    async def receive(self, frame):
        kind, room_id = frame["type"], frame.get("room_id", frame.get("id"))  # a room has an id only
        room = self.rooms.get(room_id)
        if kind == "ready":
            known = self.rooms if frame["epoch"] == self.epoch else {}
            self.rooms, self.epoch = {}, frame["epoch"]
            for of in frame["rooms"]:
                self.rooms[of["id"]] = known.get(of["id"]) or self.new(of)
            self.waiting = set(self.rooms)
            positions = {id: of["rev"] for id, of in self.rooms.items()}
            await self.send({"type": "sync", "epoch": self.epoch, "rooms": positions})
            for message in list(self.outbox.values()):
                await self.send(message)
        elif kind == "added":
            self.rooms[frame["room"]["id"]] = self.new(frame["room"])
            await self.join(frame["room"]["id"])
        elif kind == "removed":
            self.rooms.pop(room_id, None)
            self.waiting.discard(room_id)
        elif kind == "ack":
            self.outbox.pop(frame.get("id"), None)
        elif kind == "error" and (message := self.outbox.get(frame.get("ref"))):
            if frame["retryable"]:
                later = asyncio.get_running_loop().call_later
                later(frame.get("retry_after_ms", 500) / 1000, lambda: asyncio.create_task(self.send(message)))
            else:
                del self.outbox[message["id"]]
        elif room is None:
            pass
        elif kind in ("message", "message_updated", "member", "room"):
            prev, rev = frame.get("prev", frame.get("rev") - 1), frame["rev"]
            if prev > room["rev"]:
                await self.join(room_id)
            elif rev > room["rev"] and not (kind == "message_updated" and room_id in self.waiting):
                self.apply(room, frame)
                room["rev"] = rev
        elif kind == "synced":
            self.waiting.discard(room_id)
            if frame["prev"] <= room["rev"]:
                room["rev"] = max(room["rev"], frame["rev"])
            room.update(last_read_seq=frame["last_read_seq"], mentioned=set(frame["mentioned"]))
        elif kind == "reset":
            self.waiting.discard(room_id)
            await self.reload(room_id, frame["rev"])
        elif kind == "lagged":
            await self.join(room_id)
        elif kind == "read" and frame["user_id"] == self.me:
            self.mark(room, frame["seq"])

    def new(self, room):
        mine = {"last_read_seq": room["last_read_seq"], "mentioned": set(room["mentioned"])}
        return {"rev": 0, "room": room, "members": {}, "messages": {}, **mine}

    async def join(self, room_id):
        if room_id not in self.waiting:
            self.waiting.add(room_id)
            await self.send({"type": "join", "room_id": room_id, "rev": self.rooms[room_id]["rev"], "epoch": self.epoch})

    def apply(self, room, frame):
        kind, row = frame["type"], {k: v for k, v in frame.items() if k not in ("type", "prev", "by", "at")}
        if kind == "room":
            room["room"] = room["room"] | row
        elif kind == "member":
            room["members"][row["user"]["id"]] = row["role"]
            room["members"] = {id: role for id, role in room["members"].items() if role}
        elif kind == "message":
            row["reactions"] = {of["emoji"]: of["count"] for of in row.get("reactions", [])}
            self.keep(room, row)
        elif message := room["messages"].get(row["seq"]):  # what changed of it, and no more
            if "content" in row or "deleted_at" in row:
                gone = ("mentions", "mention_all") + (("content", "pinned_at") if "deleted_at" in row else ())
                message = {k: v for k, v in message.items() if k not in gone}
            counts = message["reactions"] | {of["emoji"]: of["count"] for of in row.pop("reactions", [])}
            row["reactions"] = {} if "deleted_at" in row else {emoji: n for emoji, n in counts.items() if n}
            self.keep(room, {k: v for k, v in (message | row).items() if v is not None})

    def keep(self, room, message):
        seq, mine = message["seq"], message["sender"]["id"] == self.me
        if new := seq not in room["messages"]:
            self.on_message(message)
        room["messages"][seq] = message
        room["mentioned"].discard(seq)
        if mine and new:
            self.mark(room, seq)
        elif seq > room["last_read_seq"] and (self.me in message.get("mentions", []) or message.get("mention_all")):
            room["mentioned"].add(seq)

    def mark(self, room, seq):
        room["last_read_seq"] = max(room["last_read_seq"], seq)
        room["mentioned"] = {of for of in room["mentioned"] if of > room["last_read_seq"]}

    async def reload(self, room_id, rev):
        path = f"/api/chat/rooms/{room_id}"
        room = self.rooms[room_id] = self.new(await self.api("GET", path))
        members = await self.api("GET", path + "/members?limit=200")
        page = await self.api("GET", path + "/messages?limit=200")
        room.update(rev=rev, members={of["user"]["id"]: of["role"] for of in members["items"]})
        for message in page["items"]:
            self.apply(room, {"type": "message", **message})


async def main(url, name):
    client = Client(url)
    await client.enter("/api/login", username=name, password=getpass.getpass())
    client.on_message = lambda of: print(of["room_id"], of["sender"]["username"] + ":", of.get("content", "(deleted)"))
    running = asyncio.create_task(client.run())
    while (line := await asyncio.to_thread(sys.stdin.readline)) and not running.done():
        room_id, _, text = line.strip().partition(" ")
        await client.say(int(room_id), text)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
