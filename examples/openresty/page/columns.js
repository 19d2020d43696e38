// The board itself: a column for each stage, a card for each order. A card is made once and then moved. It shows what
// it is given and knows nothing of where that comes from.

import { duration } from "./lamp.js";
import { moving } from "./motion.js";
import { OTHER, STAGES, stageOf } from "./orders.js";

// So many cards are drawn of a column; the rest is a number.
const CARDS_MOST = 60;

// An order that has waited so long without being paid is marked.
const LATE_AFTER_MS = 15 * 60 * 1000;

const number = new Intl.NumberFormat();
const say = (value) => String(value ?? "").replaceAll("_", " ");
// What is pending may be the order itself, too.
const sayPayment = (value) => (value === "pending" ? "unpaid" : say(value));
const copyOf = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const createdAt = (order) => Date.parse(order.createdAt) || 0;

// What has waited longest comes first; of what is done, what was done last.
function sorted(stage, orders) {
  const byId = (a, b) => a.orderID.localeCompare(b.orderID, undefined, { numeric: true });
  const oldestFirst = (a, b) => createdAt(a) - createdAt(b) || byId(a, b);
  const newestFirst = (a, b) => (Date.parse(b.updatedAt) || 0) - (Date.parse(a.updatedAt) || 0) || byId(b, a);
  return orders.sort(stage === "paid" ? newestFirst : oldestFirst);
}

function sumOf(orders) {
  return orders.reduce((sum, order) => sum + (Number(order.totalAmount) || 0), 0);
}

export class Columns {
  #columns = new Map(); // by stage: { section, list, tab }
  #cards = new Map(); // by order id

  constructor(main, tabs) {
    for (const stage of [...STAGES, OTHER]) this.#columns.set(stage, this.#addColumn(stage, main, tabs));
    this.#followScrolling(main);
  }

  #addColumn(stage, main, tabs) {
    const section = copyOf("column-template");
    const tab = copyOf("tab-template");
    const list = section.querySelector(".cards");
    section.id = tab.dataset.stage = section.dataset.stage = stage;
    tab.href = `#${stage}`;
    list.setAttribute("aria-label", `${stage} orders`);
    for (const element of [section, tab]) write(element.querySelector(".name"), stage);
    main.append(section);
    tabs.append(tab);
    return { section, list, tab };
  }

  // On a phone one column is in view: its tab says so.
  #followScrolling(main) {
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        this.#columns.get(target.dataset.stage).tab.setAttribute("aria-current", isIntersecting);
      }
    }, { root: main, threshold: 0.6 });
    for (const { section } of this.#columns.values()) observer.observe(section);
  }

  // Shows these orders and no others.
  show(orders, now) {
    moving(() => [...this.#cards.values()], () => this.#arrange(orders));
    this.tick(now);
  }

  #arrange(orders) {
    const inStage = (stage) => orders.filter((order) => stageOf(order) === stage);
    const shown = new Set();
    for (const [stage, column] of this.#columns) {
      const all = sorted(stage, inStage(stage));
      const cards = all.slice(0, CARDS_MOST).map((order) => this.#cardOf(order, stage));
      cards.forEach((card, index) => {
        shown.add(card);
        if (column.list.children[index] !== card) column.list.insertBefore(card, column.list.children[index] ?? null);
      });
      this.#label(column, stage, all);
    }
    for (const [id, card] of this.#cards) {
      if (shown.has(card)) continue;
      card.remove();
      this.#cards.delete(id);
    }
  }

  #label({ section, tab }, stage, orders) {
    section.hidden = tab.hidden = stage === OTHER && orders.length === 0;
    for (const element of [section, tab]) write(element.querySelector(".count"), String(orders.length));
    write(section.querySelector(".sum"), orders.length > 0 ? number.format(sumOf(orders)) : "");
    const left = orders.length - CARDS_MOST;
    write(section.querySelector(".more"), left > 0 ? `and ${left} more` : "");
  }

  #cardOf(order, stage) {
    let card = this.#cards.get(order.orderID);
    if (!card) {
      card = copyOf("card-template");
      card.dataset.id = card.title = order.orderID;
      write(card.querySelector(".order-id"), order.orderID);
      this.#cards.set(order.orderID, card);
    }
    card.dataset.stage = stage;
    card.dataset.payment = order.paymentStatus ?? "";
    write(card.querySelector(".amount"), order.totalAmount === undefined ? "" : number.format(order.totalAmount));
    write(card.querySelector(".status"), say(order.overallStatus));
    write(card.querySelector(".payment"), sayPayment(order.paymentStatus));
    const age = card.querySelector(".age");
    if (order.createdAt) age.dateTime = order.createdAt;
    return card;
  }

  // Ages grow without news.
  tick(now) {
    for (const card of this.#cards.values()) {
      const age = card.querySelector(".age");
      const waited = now - Date.parse(age.dateTime);
      write(age, Number.isNaN(waited) ? "" : duration(waited));
      card.classList.toggle("late", waited > LATE_AFTER_MS && card.dataset.stage !== "paid");
    }
  }
}
