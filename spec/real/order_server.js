// An order server as shops have it: one route of node's http module that sends `connected`, heartbeats and changes of
// orders, without ids and without memory. It is told what to do by lines of JSON on standard input (see `commands`),
// writes a line of JSON when it has done so and for every request, and ends with its standard input.

"use strict";

const http = require("http");
const readline = require("readline");
const { URL } = require("url");

const port = Number(process.argv[2]);
const streams = new Set();
const statuses = []; // of the next requests, in place of a stream
let lastId = null;   // a number once ids are wanted

const HEAD = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-transform",
  "Connection": "keep-alive",
  "X-Accel-Buffering": "no",
};

function write(response, type, payload, id) {
  response.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(payload)}\n\n`);
}

function timestamp() {
  return new Date().toISOString();
}

function wants(query, type, orderID) {
  const types = query.get("eventTypes");
  return (!query.has("orderID") || query.get("orderID") === orderID) && (!types || types.split(",").includes(type));
}

function open(request, response, query) {
  response.writeHead(200, HEAD);
  const stream = { response, query };
  streams.add(stream);
  response.on("close", () => streams.delete(stream));
  const clientId = `client_${Date.now()}_${Math.random().toString(36).slice(2, 11)}`;
  write(response, "connected", { clientId, timestamp: timestamp(), message: "SSE connection established" });
}

function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  console.log(JSON.stringify({ url: request.url, headers: request.headers }));
  if (url.pathname !== "/api/v1/sync/events") {
    response.writeHead(404, { "Content-Type": "text/html" });
    return response.end("<!DOCTYPE html><pre>Cannot GET this</pre>");
  }
  if (statuses.length > 0) {
    response.writeHead(statuses.shift(), { "Content-Type": "application/json" });
    return response.end('{"error":"deploying"}');
  }
  return open(request, response, url.searchParams);
}

const commands = {
  publish({ type, orderID, data }) {
    if (lastId !== null) lastId += 1;
    for (const { response, query } of streams) {
      if (!wants(query, type, orderID)) continue;
      write(response, type, { eventType: type, data, orderID, timestamp: timestamp() }, lastId === null ? undefined : lastId);
    }
  },
  heartbeat() {
    for (const { response } of streams) {
      write(response, "heartbeat", { timestamp: timestamp(), activeConnections: streams.size });
    }
  },
  ids(first) { lastId = first; },
  retry(milliseconds) {
    for (const { response } of streams) response.write(`retry: ${milliseconds}\n\n`);
  },
  end() {
    for (const { response } of streams) response.end();
  },
  status(code) { statuses.push(code); },
};

readline.createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [name, argument] = JSON.parse(line);
    commands[name](argument);
    console.log(JSON.stringify({ did: name }));
  })
  .on("close", () => process.exit());

http.createServer(answer).listen(port, "127.0.0.1");
