// A chat of Socket.IO: its rooms, its broadcast and its acknowledgements. Nothing is stored.

const { Server } = require("socket.io");

const io = new Server({ transports: ["websocket"], pingInterval: 25000, pingTimeout: 60000, serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (rooms, done) => {
    socket.join(rooms.map(String));
    done();
  });
  socket.on("message", ({ room, content }, done) => {
    io.to(String(room)).emit("message", { room, user: socket.id, content, created_at: new Date() });
    done();
  });
});
io.listen(Number(process.argv[2]));
