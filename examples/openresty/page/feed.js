// What comes from nginx: the event stream, the snapshot that it goes on from, and the health of the order server's
// stream behind it. It owns the connection to nginx; whoever made it is told of orders and of how things are.
//
// EventSource resumes by Last-Event-ID when a connection breaks. What it cannot see is a connection that is dead
// without a word; so the health is asked for every few seconds, and a stream that has lived through a failed check is
// opened again, behind the last event that it brought.

import { EVENT_TYPES } from "./orders.js";

const CHECK_EVERY_MS = 5000;
const CHECK_TIMEOUT_MS = 4000;
const LOAD_TIMEOUT_MS = 20000;

// EventSource gives up when it gets an error page: from a proxy, or an nginx that starts. And a snapshot may fail.
const RETRY_MS = 2000;

export class Feed {
  #source;
  #lastEventId = "";
  #loading; // the AbortController of the snapshot under way
  #since; // events since it was asked for
  #lastCheck = 0;
  #isCatchingUp = true; // what comes may be old news

  // What is known of the connection; `heardAt` is when the order server was heard last, by this machine's clock.
  isStreamOpen = false;
  isReachable = true;
  hasOrders = false;
  health = undefined;
  heardAt = undefined;

  // `onOrders(docs)`: these are the orders. `onEvents([{type, message}])`: this has happened to them.
  // `onChange()`: something above has changed.
  constructor({ onOrders, onEvents, onChange }) {
    Object.assign(this, { onOrders, onEvents, onChange });
  }

  start() {
    this.#open();
    this.#check();
    document.addEventListener("visibilitychange", () => document.hidden || this.#check());
    addEventListener("online", () => this.#check());
  }

  // ---- the stream

  #open() {
    this.#source?.close();
    this.isStreamOpen = false;
    const query = this.#lastEventId ? `?lastEventId=${encodeURIComponent(this.#lastEventId)}` : "";
    const source = new EventSource("orders/events" + query);
    this.#source = source;
    source.onerror = () => this.#lost(source);
    const listen = (type, fn) => source.addEventListener(type, (event) => {
      if (event.lastEventId) this.#lastEventId = event.lastEventId;
      fn(JSON.parse(event.data || "null"));
    });
    listen("connected", () => this.#opened());
    listen("health", (health) => this.#take(health));
    listen("resync", () => this.#loadAnew());
    listen("polling_data_refresh", () => this.#load());
    for (const type of EVENT_TYPES) listen(type, (message) => this.#pass({ type, message }));
  }

  #opened() {
    this.isStreamOpen = true;
    this.#isCatchingUp = true;
    if (!this.hasOrders) this.#load();
    this.#check(); // asked for now, it answers behind what was missed
    this.onChange();
  }

  #lost(source) {
    if (source !== this.#source) return;
    this.isStreamOpen = false;
    const hasGivenUp = source.readyState === EventSource.CLOSED;
    if (hasGivenUp) setTimeout(() => source === this.#source && this.#open(), RETRY_MS);
    this.onChange();
  }

  #pass(event) {
    if (!this.#isCatchingUp) this.heardAt = Date.now();
    this.#since?.push(event);
    if (this.hasOrders) this.onEvents([event]);
  }

  // ---- the snapshot

  // What was missed is gone: what is shown is not to be trusted until there is a new snapshot.
  #loadAnew() {
    this.hasOrders = false;
    this.onChange();
    this.#load();
  }

  // Also after each poll of nginx, for its first one brings orders that no event tells of. The snapshot is of some
  // moment behind the beginning, so what has come since then is applied to it.
  async #load() {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#since = [];
    const timer = setTimeout(() => loading.abort(), LOAD_TIMEOUT_MS);
    try {
      const response = await fetch("orders", { signal: loading.signal });
      if (!response.ok) throw new Error(`orders: ${response.status}`);
      const { docs } = await response.json();
      if (loading === this.#loading) this.#loaded(docs);
    } catch {
      if (loading === this.#loading) setTimeout(() => loading === this.#loading && this.#load(), RETRY_MS);
    }
    clearTimeout(timer);
  }

  #loaded(docs) {
    this.onOrders(docs);
    this.onEvents(this.#since);
    this.#since = undefined;
    this.hasOrders = true;
    this.onChange();
  }

  // ---- the health

  #take(health) {
    this.health = health;
    if (health.data_age_ms !== undefined) this.heardAt = Date.now() - health.data_age_ms;
    this.onChange();
  }

  async #check() {
    const number = ++this.#lastCheck;
    try {
      const response = await fetch("orders/health", { signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) });
      const health = await response.json();
      if (number !== this.#lastCheck) return;
      if (!this.isReachable) this.#open();
      this.isReachable = true;
      this.#isCatchingUp = false;
      this.#take(health);
    } catch {
      if (number !== this.#lastCheck) return;
      this.isReachable = false;
      this.onChange();
    }
    setTimeout(() => number === this.#lastCheck && this.#check(), CHECK_EVERY_MS);
  }
}
