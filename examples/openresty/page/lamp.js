// The lamp: what may be said of the orders that are shown. Between them and the order server lie two connections, ours
// to nginx and nginx's to the order server, and the lamp is that of the worse one.

// A trouble that lasts so long is no matter of a moment: what is shown counts as old.
const STALE_AFTER_MS = 10000;

const WORDS = {
  connected: "Live",
  polling: "Polling",
  reconnecting: "Reconnecting",
  stale: "Not live",
};

function troubleOf({ isConnected, hasOrders, health }) {
  if (!isConnected) return "The board has no connection.";
  if (health?.stale) return "The order server cannot be reached.";
  if (!health || !hasOrders) return "The orders are being loaded.";
  return undefined;
}

export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}

export class Lamp {
  #troubledSince;

  // The state is on the document's element, for styles to show it everywhere.
  #state(trouble, health, now) {
    this.#troubledSince = trouble ? this.#troubledSince ?? now : undefined;
    if (!trouble) return health.status === "polling" ? "polling" : "connected";
    return now - this.#troubledSince < STALE_AFTER_MS ? "reconnecting" : "stale";
  }

  show(feed, now) {
    const trouble = troubleOf(feed);
    const state = this.#state(trouble, feed.health, now);
    const write = (id, text) => {
      const element = document.getElementById(id);
      if (element.textContent !== text) element.textContent = text; // what is spoken aloud is not said again
    };
    const { dataset } = document.documentElement;
    if (dataset.lamp !== state) dataset.lamp = state;
    write("lamp-word", feed.hasOrders || state !== "reconnecting" ? WORDS[state] : "Connecting");
    write("trouble", state === "stale" ? `${trouble} What you see may be old.` : "");
    write("data-age", feed.heardAt === undefined ? "" : `${duration(now - feed.heardAt)} ago`);
  }
}
