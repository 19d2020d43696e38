// What comes from nginx: a snapshot of the orders, the events behind it, and the health of the order server's stream
// behind those. It owns the connection to nginx; whoever made it is told of orders and of how things are.
//
// A snapshot says which event it is as of, and the stream is opened behind that one. EventSource resumes by
// Last-Event-ID when a connection breaks. What it cannot see is a connection that is dead without a word; so nginx
// tells the health every two seconds, and a stream that is silent for longer is opened again where it was.

import { EVENT_TYPES } from "./orders.js";

const SILENCE_MS = 7000;
const LOAD_TIMEOUT_MS = 20000;

// EventSource gives up when it gets an error page: from a proxy, or an nginx that starts. And a snapshot may fail.
const RETRY_MS = 2000;

export class Feed {
  #source;
  #loading; // the AbortController of the latest snapshot
  #position; // the id of the event that the orders are as of; undefined: a snapshot is wanted
  #timer; // when nothing has come until then, it is tried again

  // What is known of the connection; `heardAt` is when the order server was heard last, by this machine's clock.
  isConnected = false;
  hasOrders = false;
  health = undefined;
  heardAt = undefined;

  // `onOrders(docs)`: these are the orders. `onEvent(type, message)`: this has happened to them. `onChange()`: something
  // above has changed.
  constructor({ onOrders, onEvent, onChange }) {
    Object.assign(this, { onOrders, onEvent, onChange });
  }

  start() {
    this.#load();
    addEventListener("online", () => this.#resume());
  }

  #resume() {
    if (this.#position === undefined) this.#load();
    else this.#open();
  }

  #lost(retryMs) {
    this.isConnected = false;
    this.#resumeIn(retryMs);
    this.onChange();
  }

  #resumeIn(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#lost(RETRY_MS);
      this.#resume();
    }, milliseconds);
  }

  // ---- the snapshot

  // Meanwhile there is no stream: what happens waits in nginx.
  async #load() {
    this.#position = undefined;
    this.#source?.close();
    this.#resumeIn(LOAD_TIMEOUT_MS);
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    const snapshot = await this.#fetch(loading.signal);
    if (loading !== this.#loading) return;
    if (!snapshot) return this.#lost(RETRY_MS);
    this.#position = snapshot.position;
    this.hasOrders = true;
    this.onOrders(snapshot.docs);
    this.#open();
  }

  async #fetch(signal) {
    try {
      const response = await fetch("orders", { signal });
      if (!response.ok) return undefined;
      const { docs } = await response.json();
      return { docs, position: response.headers.get("Last-Event-ID") ?? "" };
    } catch {
      return undefined;
    }
  }

  // What was missed is gone: what is shown is not to be trusted until there is a new snapshot.
  #loadAnew() {
    this.hasOrders = false;
    this.onChange();
    this.#load();
  }

  // ---- the stream

  #open() {
    this.#source?.close();
    this.#resumeIn(SILENCE_MS);
    const query = this.#position ? `?lastEventId=${encodeURIComponent(this.#position)}` : "";
    const source = new EventSource("orders/events" + query);
    this.#source = source;
    source.onerror = () => this.#lost(source.readyState === EventSource.CLOSED ? RETRY_MS : SILENCE_MS);
    const listen = (type, fn) => source.addEventListener(type, (event) => {
      this.#resumeIn(SILENCE_MS);
      if (event.lastEventId) this.#position = event.lastEventId;
      fn(JSON.parse(event.data || "null"));
    });
    listen("connected", () => this.#opened());
    listen("health", (health) => this.#take(health));
    listen("resync", () => this.#loadAnew());
    listen("polling_data_refresh", () => this.#load()); // a snapshot of nginx's has brought what no event tells of
    for (const type of EVENT_TYPES) listen(type, (message) => this.onEvent(type, message));
  }

  #opened() {
    this.isConnected = true;
    this.onChange();
  }

  #take(health) {
    this.health = health;
    if (health.data_age_ms !== undefined) this.heardAt = Date.now() - health.data_age_ms;
    this.onChange();
  }
}
