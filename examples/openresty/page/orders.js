// What the page knows of the orders: made from snapshots and events by the rules of docs/orders.md. One entry for each
// id, so that no order can be in two places. It knows neither the page nor the network.

export const STAGES = ["empty", "initiated", "open", "billed", "paid"];

// For a stage that the board has no column for.
export const OTHER = "other";

// What a type of event says of the order: the member, and where the event has its value.
const SAYS = {
  stage_change: ["orderStage", "newStage"],
  order_stage_change: ["orderStage", "newStage"],
  status_update: ["overallStatus", "newStatus"],
  payment_update: ["paymentStatus", "newStatus"],
};

const SETS = { qr_generated: "qrCodeGenerated", whatsapp_connected: "whatsappLinked" };

export const EVENT_TYPES = ["order_created", "order_deleted", ...Object.keys(SAYS), ...Object.keys(SETS)];

export function stageOf(order) {
  return STAGES.includes(order.orderStage) ? order.orderStage : OTHER;
}

const millisecondsOf = (time) => (typeof time === "number" ? time : Date.parse(time)); // NaN: no time

// What an event changes of its order.
function patchOf(type, data) {
  const patch = { ...data.order };
  const [member, source] = SAYS[type] ?? [];
  if (member && data[source] !== undefined) patch[member] = data[source];
  if (SETS[type]) patch[SETS[type]] = true;
  return patch;
}

export class Orders {
  #byId = new Map();

  all() {
    return [...this.#byId.values()];
  }

  // A snapshot says what there is, and that there is no more. Since when is not always known to it.
  replace(docs) {
    const bornAt = (id) => this.#byId.get(id)?.createdAt;
    this.#byId = new Map(docs.map((order) => [order.orderID, { createdAt: bornAt(order.orderID), ...order }]));
  }

  // Older news never overwrite newer ones: what came while a snapshot was under way may be in it already.
  apply(type, { orderID, data, timestamp }) {
    if (!orderID) return;
    const known = this.#byId.get(orderID);
    const at = data?.order?.updatedAt ?? timestamp;
    if (known && millisecondsOf(at) < millisecondsOf(known.updatedAt)) return;
    if (type === "order_deleted") {
      this.#byId.delete(orderID);
      return;
    }
    const born = type === "order_created" ? { createdAt: timestamp } : {};
    const updatedAt = at ?? known?.updatedAt;
    this.#byId.set(orderID, { ...born, ...known, ...patchOf(type, data ?? {}), orderID, updatedAt });
  }
}
