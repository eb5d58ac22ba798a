// A chat of the `ws` package: rooms in memory, each message encoded once and sent to every member. Nothing is stored.

const { WebSocketServer } = require("ws");

const rooms = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });

server.on("connection", (socket, request) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  const user = Number(query.get("user"));
  const mine = query.get("rooms").split(",").map(Number);
  for (const room of mine) {
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room).add(socket);
  }
  socket.on("message", (data) => {
    const { room, content } = JSON.parse(data);
    const frame = JSON.stringify({ type: "message", room, user, content, created_at: new Date() });
    for (const member of rooms.get(room) ?? []) member.send(frame);
  });
  socket.on("close", () => mine.forEach((room) => rooms.get(room).delete(socket)));
  socket.send('{"type":"ready"}');
});
