"""A chat of FastAPI and SQLAlchemy on MariaDB, written as such chats usually are.

One process of uvicorn. A message is checked against the membership, stored and committed in a session of its own, and
then sent to every connection of its room, one after the other.
"""

import os
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timezone

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel
from sqlalchemy import DateTime, ForeignKey, String, Text, insert, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, max_overflow=10)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(String(64), unique=True)


class Room(Base):
    __tablename__ = "rooms"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(80))


class Member(Base):
    __tablename__ = "members"
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime)


@asynccontextmanager
async def lifespan(_: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
connections: dict[int, set[WebSocket]] = {}


class Population(BaseModel):
    users: int
    rooms: list[list[int]]


# Ids of MariaDB begin at 1, and the harness counts from 0.
@app.post("/populate")
async def populate(population: Population):
    users = [{"id": user + 1, "username": f"member{user}"} for user in range(population.users)]
    rooms = [{"id": room + 1, "name": f"room {room}"} for room in range(len(population.rooms))]
    members = [
        {"room_id": room + 1, "user_id": user + 1}
        for room, users_of_room in enumerate(population.rooms)
        for user in users_of_room
    ]
    async with new_session() as session:
        for model, rows in ((User, users), (Room, rooms), (Member, members)):
            await session.execute(insert(model), rows)
        await session.commit()
    return {}


@app.websocket("/ws")
async def chat(socket: WebSocket, user: int):
    await socket.accept()
    async with new_session() as session:
        mine = (await session.scalars(select(Member.room_id).where(Member.user_id == user + 1))).all()
    for room in mine:
        connections.setdefault(room - 1, set()).add(socket)
    await socket.send_json({"type": "ready"})
    try:
        while True:
            frame = await socket.receive_json()
            await say(user, frame["room"], frame["content"])
    except WebSocketDisconnect:
        pass
    finally:
        for room in mine:
            connections[room - 1].discard(socket)


async def say(user: int, room: int, content: str):
    async with new_session() as session:
        if await session.get(Member, (room + 1, user + 1)) is None:
            return
        message = Message(
            room_id=room + 1, user_id=user + 1, content=content, created_at=datetime.now(timezone.utc)
        )
        session.add(message)
        await session.commit()
    event = {
        "type": "message",
        "id": message.id,
        "room": room,
        "user": user,
        "content": content,
        "created_at": message.created_at.isoformat(),
    }
    for member in list(connections.get(room, ())):
        await member.send_json(event)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", ws_ping_interval=None)
