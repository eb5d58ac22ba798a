"""A chat client for Hearth, from PROTOCOL.md: it keeps each room's state through whatever happens to the connection.

    python3 client.py http://127.0.0.1:8000 ada        then lines as: ROOM TEXT, or ROOM alone to join it
"""
import asyncio, contextlib, getpass, json, os, random, sys, time, urllib.request, uuid, websockets
SETS = ("mentioned", "deleted")  # seqs above my marker; unread: last_seq - last_read_seq - len(deleted)


class Refused(Exception):
    """What asking again doesn't change: a problem document, or the close code that ends all attempts."""


class Client:
    def __init__(self, url):
        self.url, self.tokens, self.me, self.renew_at, self.socket = url, None, None, 0, None
        self.epoch, self.rooms, self.left = None, {}, {}  # by id: what `new` makes; the rev of `removed`
        self.asked, self.repeating = {}, None  # rooms whose catch-up is unanswered: the ref of their newest request
        self.outbox, self.sent = {}, None  # messages by id, in order, until answered; ids that went since `ready`
        self.on_message, self.on_refused = lambda message: None, lambda message, error: print("refused:", error)

    async def api(self, method, path, body=None):
        headers = {"User-Agent": "example/1", "Content-Type": "application/json"}
        headers |= {"Authorization": "Bearer " + self.tokens["access_token"]} if self.tokens else {}
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), headers, method=method)
        try:
            answer = await asyncio.to_thread(urllib.request.urlopen, request, timeout=4)
            return json.loads(await asyncio.to_thread(answer.read) or "null")
        except urllib.error.HTTPError as error:
            later = error.code == 429 or error.code >= 500  # then it stays an OSError, as the network's faults are
            raise error if later else Refused(json.loads(error.read())) from None

    async def enter(self, path, **body):  # by /api/login, /api/register or /api/refresh
        self.tokens = await self.api("POST", path, body)
        self.me, self.renew_at = self.tokens["user"]["id"], time.monotonic() + self.tokens["expires_in"] * 0.75

    async def run(self):  # keeps a connection for as long as the session lasts
        attempt = 0
        while True:
            token = pause = None
            with contextlib.suppress(OSError, websockets.WebSocketException):
                async with websockets.connect(self.url.replace("http", "ws", 1) + "/ws") as self.socket:
                    while True:
                        if time.monotonic() > self.renew_at:  # shielded: who is cancelled mustn't lose the newest token
                            await asyncio.shield(self.enter("/api/refresh", refresh_token=self.tokens["refresh_token"]))
                        if token != self.tokens["access_token"]:
                            token = self.tokens["access_token"]
                            await self.send({"type": "auth", "token": token})
                        try:  # the library pings, and gives a silent server up
                            async with asyncio.timeout(self.renew_at - time.monotonic()):
                                text = await self.socket.recv()
                        except TimeoutError:
                            continue
                        frame = json.loads(text)
                        attempt, pause = attempt * (frame["type"] != "ready"), frame.get("reconnect_after_ms", pause)
                        await self.receive(frame)
            code, self.socket, self.sent = self.socket and self.socket.close_code, None, None
            if code and code >= 4500:
                raise Refused(code)
            attempt, self.renew_at = attempt + 1, 0 if code == 4004 else self.renew_at
            await asyncio.sleep(pause / 1000 if pause else random.uniform(0.5, min(30, 0.5 * 2**attempt)))

    async def send(self, frame):
        with contextlib.suppress(websockets.ConnectionClosed):  # the reading side hears of it, too
            if self.socket:
                await self.socket.send(json.dumps(frame))

    async def say(self, room_id, content, **more):  # it comes once, whatever happens; returns its id
        id = str(uuid.uuid4())
        self.outbox[id] = {"type": "message", "ref": id, "room_id": room_id, "id": id, "content": content, **more}
        await self.flush()
        return id

    async def flush(self):
        for id, message in list(self.outbox.items()):  # none is passed by a later one, whoever else flushes meanwhile
            if self.sent is not None and id not in self.sent:
                self.sent.add(id)
                await self.send(message)

    async def repeat(self, seconds):
        self.repeating = await asyncio.sleep(seconds)
        if self.sent is not None:
            self.sent.clear()
            await self.flush()
            await self.catch_up(self.asked)

    async def catch_up(self, ids):
        rooms = {id: self.rooms[id]["rev"] for id in ids}
        self.asked |= dict.fromkeys(rooms, ref := str(uuid.uuid4()))
        await self.send({"type": "sync", "ref": ref, "epoch": self.epoch, "rooms": rooms})

    async def receive(self, frame):
        kind, ref, rev, id = frame["type"], frame.get("ref"), frame.get("rev"), frame.get("room_id")
        room = self.rooms.get(id)
        if kind in ("synced", "reset") and ref == self.asked.get(id):
            self.asked.pop(id, None)
        if kind == "ready":
            frame["rooms"] += [json.loads(await self.socket.recv())["room"] for _ in range(frame["more_rooms"])]
            held = self.rooms if frame["epoch"] == self.epoch else {}
            self.rooms = {of["id"]: self.new(of, held.get(of["id"])) for of in frame["rooms"]}
            self.epoch, self.left, self.asked, self.sent = frame["epoch"], {}, {}, set()
            await self.catch_up(self.rooms)
            await self.flush()
        elif kind == "added" and frame["room"]["rev"] > self.left.get(id, 0):
            self.rooms[id] = self.new(frame["room"])
            await self.catch_up([id])
        elif kind == "removed":
            if rev > (room["since"] if room else 0) if rev else ref == self.asked.get(id):
                self.left[id] = rev or 0
                self.rooms.pop(id, None), self.asked.pop(id, None)
        elif kind == "ack":
            self.outbox.pop(frame.get("id"), None)
        elif kind == "error" and frame["retryable"]:
            self.repeating = self.repeating or asyncio.create_task(self.repeat(frame.get("retry_after_ms", 500) / 1000))
        elif kind == "error" and ref in self.outbox:
            self.on_refused(self.outbox.pop(ref), frame)
        elif room and kind == "lagged":
            await self.catch_up([id])
        elif room and kind == "reset":
            with contextlib.suppress(Refused):  # I am out meanwhile, and `removed` is on its way
                await self.reload(id, rev)
        elif room and kind == "read" and frame["user_id"] == self.me:
            self.mark(room, frame["seq"])
        elif room and rev:  # `synced`, what is durable, and types that came later
            if kind == "synced":
                room |= {key: set(frame[key]) for key in SETS} | {"last_seq": max(room["last_seq"], frame["last_seq"])}
                self.mark(room, frame["last_read_seq"])
            prev = frame.get("prev", rev - 1)
            if prev > room["rev"] and id not in self.asked:
                await self.catch_up([id])
            elif prev <= room["rev"] < rev and not (kind == "message_updated" and id in self.asked):
                self.apply(room, frame)
                room["rev"] = rev

    def new(self, room, held=None):  # as it is to me now; what was said in it comes by catching up from 0
        marks = {key: room[key] for key in ("last_seq", "last_read_seq")} | {key: set(room[key]) for key in SETS}
        return (held or {"rev": 0, "members": {}, "messages": {}}) | marks | {"room": room, "since": room["rev"]}

    def apply(self, room, frame):
        kind, row = frame["type"], {k: v for k, v in frame.items() if k not in ("type", "prev", "by", "at")}
        if kind == "room":
            room["room"] = room["room"] | {"archived_at": None} | row["room"]
        elif kind == "member":
            room["members"][row["user"]["id"]] = row["role"]
            room["members"] = {id: role for id, role in room["members"].items() if role}
        elif kind in ("message", "message_updated"):
            seq, gone = row["seq"], "deleted_at" in row
            held, told = room["messages"].get(seq, {}), gone or "content" in row  # told: whom it mentions
            if row["rev"] <= held.get("rev", 0):
                return  # a page brought it in a later state
            if told and seq > room["last_read_seq"]:
                mine = self.me in row.get("mentions", []) or row.get("mention_all")
                room |= {key: room[key] | {seq} if on else room[key] - {seq} for key, on in zip(SETS, (mine, gone))}
            if kind == "message":
                room["last_seq"] = max(room["last_seq"], seq)
                self.mark(room, seq if row["sender"]["id"] == self.me else 0)
                held or self.on_message(row)
            elif not held:
                return
            lost = ("mentions", "mention_all") * told + ("content", "reactions", "pinned_at") * gone
            held = {key: value for key, value in held.items() if kind == "message_updated" and key not in lost}
            counts = held.get("reactions", {}) | {of["emoji"]: of["count"] for of in row.get("reactions", [])}
            row["reactions"] = {emoji: count for emoji, count in counts.items() if count}
            room["messages"][seq] = {key: value for key, value in (held | row).items() if value is not None}

    def mark(self, room, seq):
        room["last_read_seq"] = max(room["last_read_seq"], seq)
        room |= {key: {of for of in room[key] if of > room["last_read_seq"]} for key in SETS}

    async def reload(self, id, rev):  # after a reset: the room, its members and its last page; it is live from `rev`
        path = f"/api/chat/rooms/{id}"
        room, asks = self.new(await self.api("GET", path)) | {"rev": rev}, ["/messages", "/members"]
        for ask in asks:  # which grow while there are more members
            while (page := await self.api("GET", path + ask))["rev"] < rev:
                await asyncio.sleep(0.2)
            for row in page["items"]:
                self.apply(room, {"type": "message" if ask == asks[0] else "member", **row})
            if page["next"] and ask != asks[0]:
                asks.append("/members?cursor=" + urllib.parse.quote(page["next"]))
        self.rooms[id] = room


async def main(url, name):
    client = Client(url)
    await client.enter("/api/login", username=name, password=(getpass.getpass if sys.stdin.isatty() else input)())
    client.on_message = lambda of: print(of["room_id"], of["sender"]["username"] + ":", of.get("content", "(deleted)"))
    running = asyncio.create_task(client.run())
    running.add_done_callback(lambda run: run.cancelled() or print(run.exception(), flush=True) or os._exit(1))
    while line := await asyncio.to_thread(sys.stdin.readline):
        room, _, text = line.strip().partition(" ")
        try:
            await (client.say(int(room), text) if text else client.api("POST", f"/api/chat/rooms/{int(room)}/join"))
        except (ValueError, OSError, Refused) as error:
            print(error)
    while client.outbox:
        await asyncio.sleep(0.1)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:])) if len(sys.argv) == 3 else sys.exit(__doc__)
