// Program: a server made with npm's `ws`. Its paths are those of peer_websockets.py.
"use strict";
const { WebSocketServer, WebSocket } = require("ws");

const members = new Set();
let heard = 0;

function meet(client, request) {
  switch (request.url) {
    case "/sub":
      members.add(client);
      client.on("close", () => members.delete(client));
      break;
    case "/pub":
      client.on("message", (data) => {
        for (const member of members) {
          if (member.readyState === WebSocket.OPEN) member.send(data, { binary: false });
        }
      });
      break;
    case "/in":
      client.on("message", () => { heard += 1; });
      break;
    default:
      client.send(String(heard));
  }
}

const options = { host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 };
const server = new WebSocketServer(options, () => console.log(server.address().port));
server.on("connection", meet);
