// Cards on the move, FLIP style: first and last position are measured, the card is put at the last one, and played from
// the first one to it. Within a column the card itself moves; columns cut off what leaves them, so from one to another
// flies a copy above them, while the card is hidden.

const STEP_MS = 450;
const FLIGHT_MS = 900; // long enough to be seen from the other end of the room
const EASING = "cubic-bezier(0.3, 0, 0.1, 1)";

// More than that at once is a new picture, not a movement.
const FLIGHTS_MOST = 24;

const still = matchMedia("(prefers-reduced-motion: reduce)");
const layer = document.getElementById("flights");
const flights = new Map(); // from a card to what is in the air: { copy, last }

const shift = (from, to) => `translate(${from.left - to.left}px, ${from.top - to.top}px)`;

function isSeen(rect) {
  return rect.width > 0 && rect.right > 0 && rect.left < innerWidth && rect.bottom > 0 && rect.top < innerHeight;
}

function copyAt(card, rect) {
  const copy = card.cloneNode(true);
  copy.removeAttribute("data-id");
  const { fontSize } = getComputedStyle(card);
  const pixels = (length) => `${length}px`;
  Object.assign(copy.style, {
    left: pixels(rect.left), top: pixels(rect.top), width: pixels(rect.width), fontSize, visibility: "",
  });
  layer.append(copy);
  return copy;
}

function land(card) {
  flights.get(card)?.copy.remove();
  flights.delete(card);
  card.style.visibility = "";
}

// It is lifted, carried, and put down.
function fly(card, first, last) {
  land(card);
  const copy = copyAt(card, last);
  flights.set(card, { copy, last });
  card.style.visibility = "hidden";
  const way = shift(first, last);
  copy.animate([
    { transform: way }, { transform: `${way} scale(1.04)`, offset: 0.15 },
    { transform: "scale(1.04)", offset: 0.85 }, { transform: "none" },
  ], { duration: FLIGHT_MS, easing: EASING }).onfinish = () => flights.get(card)?.copy === copy && land(card);
}

const ABSENT = { opacity: 0, transform: "scale(0.9)" };
const PRESENT = { opacity: 1, transform: "none" };
const STEP = { duration: STEP_MS, easing: EASING };

function appear(card) {
  card.animate([ABSENT, PRESENT], STEP);
}

function vanish(card, rect) {
  const copy = copyAt(card, rect);
  copy.animate([PRESENT, ABSENT], STEP).onfinish = () => copy.remove();
}

const isSamePlace = (a, b) => a.left === b.left && a.top === b.top;

function slide(card, first, last) {
  if (!isSamePlace(first, last)) card.animate([{ transform: shift(first, last) }, { transform: "none" }], STEP);
}

// Others came or went in the column that it flies to.
function redirect(card, first, last) {
  if (!isSamePlace(flights.get(card).last, last)) fly(card, first, last);
}

// Where it is to be seen, in the air too.
function placeOf(card) {
  const element = flights.get(card)?.copy ?? card;
  return { rect: element.getBoundingClientRect(), column: card.parentElement };
}

function play(card, first) {
  const last = card.getBoundingClientRect();
  if (!isSeen(last) && !(first && isSeen(first.rect))) return;
  if (!first) appear(card);
  else if (first.column !== card.parentElement) fly(card, first.rect, last);
  else if (flights.has(card)) redirect(card, first.rect, last);
  else slide(card, first.rect, last);
}

// Plays what `change()` does to the cards; `cards()` gives those that are there.
export function moving(cards, change) {
  if (still.matches || document.hidden) {
    change();
    return;
  }
  const before = new Map(cards().map((card) => [card, placeOf(card)]));
  change();
  const after = cards();
  const present = new Set(after);
  const gone = [...before.keys()].filter((card) => !present.has(card));
  for (const card of gone) land(card);
  const moved = after.filter((card) => before.get(card)?.column !== card.parentElement);
  if (moved.length + gone.length > FLIGHTS_MOST) return;
  for (const card of gone) if (isSeen(before.get(card).rect)) vanish(card, before.get(card).rect);
  for (const card of after) play(card, before.get(card));
}
