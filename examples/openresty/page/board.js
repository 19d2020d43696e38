// The order board: puts together what comes from nginx, what is known of the orders, and what is shown.

import { Columns } from "./columns.js";
import { Feed } from "./feed.js";
import { Lamp } from "./lamp.js";
import { Orders, stageOf } from "./orders.js";

const element = (id) => document.getElementById(id);

const orders = new Orders();
const columns = new Columns(element("columns"), element("tabs"));
const lamp = new Lamp();

// ---- drawing: once a frame, however much has happened

let isDue = false;

function draw() {
  isDue = false;
  const now = Date.now();
  columns.show(orders.all(), now);
  lamp.show(feed, now);
  summarize();
}

// A page that nobody sees gets no frames; it is drawn when it is looked at.
function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(draw);
}

function summarize() {
  const waiting = orders.all().filter((order) => stageOf(order) !== "paid").length;
  element("summary").textContent = `${waiting} in progress`;
}

// ---- for who listens instead of looking: what has happened, not too often

const NEWS_EVERY_MS = 3000;
const NEWS_MOST = 3;
let news = [];

function tellNews() {
  const rest = news.length > NEWS_MOST ? `, and ${news.length - NEWS_MOST} more` : "";
  if (news.length > 0) element("news").textContent = news.slice(0, NEWS_MOST).join(", ") + rest;
  news = [];
}

function remember(type, message) {
  if (type.endsWith("stage_change")) news.push(`${message.orderID} is ${message.data?.newStage}`);
}

// ---- what comes

const feed = new Feed({
  onOrders(docs) {
    orders.replace(docs);
    drawSoon();
  },
  onEvent(type, message) {
    orders.apply(type, message);
    remember(type, message);
    drawSoon();
  },
  onChange() {
    lamp.show(feed, Date.now());
  },
});

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function tick() {
  const now = Date.now();
  element("clock").textContent = clock.format(now);
  lamp.show(feed, now);
  columns.tick(now);
}

feed.start();
tick();
setInterval(tick, 1000);
setInterval(tellNews, NEWS_EVERY_MS);
