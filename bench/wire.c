/*
 * wire.c - see wire.h. A block is rendered once because snprintf for every event would make the server, not the
 * client, what is measured: patching an event takes some 20 ns.
 */
#define _POSIX_C_SOURCE 200809L
#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Enough for one write(2) to keep a receiver busy, small enough to stay in the second-level cache. */
#define BLOCK_BYTES  (192 * 1024)
#define EVENTS_MIN   5 /* one of each type */
#define TYPES        5
#define EVENT_SLACK  512 /* an event's fixed text, its chunk framing and snprintf's NUL */
#define ID_DIGITS    10
#define STAMP_DIGITS 19
#define MS_DIGITS    3
#define ITEM_BYTES   70 /* every whole item is made this long */

/* Where the changing fields of an event lie in the block; 0: this event has no such field. */
struct slot {
  size_t end; /* behind its last byte, chunk framing included */
  size_t id, order, ms, stamp;
  size_t text_bytes, type_bytes, order_bytes, stage_bytes;
};

struct bench_wire {
  struct bench_wire_shape shape;
  char *block;
  size_t length, capacity_bytes;
  struct slot *slots;
  size_t slot_count;
};

static const char *const order_types[TYPES] = {"stage_change", "status_update", "payment_update", "order_created",
                                               "order_deleted"};
static const char *const tick_types[TYPES] = {"t", "u", "v", "w", "x"};
static const char *const stages[TYPES] = {"empty", "initiated", "open", "billed", "paid"};

uint64_t bench_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void put(struct bench_wire *wire, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(wire->block + wire->length, wire->capacity_bytes - wire->length, format, args);
  va_end(args);
  wire->length += (size_t)n;
}

/* Appends `prefix` and `digits` zeros; the place of the zeros. */
static size_t put_digits(struct bench_wire *wire, const char *prefix, int digits) {
  put(wire, "%s", prefix);
  size_t at = wire->length;
  put(wire, "%0*d", digits, 0);
  return at;
}

/* Items until the event that began at `start` is as long as the shape asks, the last one padded to the byte. */
static void put_items(struct bench_wire *wire, size_t start) {
  static const char pad_form[] = "{\"sku\":\"\",\"qty\":1}", tail[] = "]}}\n\n";
  size_t whole = wire->shape.size_bytes - (sizeof tail - 1), least = sizeof pad_form - 1;
  for (int k = 0; wire->length - start + ITEM_BYTES + 1 + least <= whole; k++)
    put(wire, "{\"sku\":\"SKU-%06d\",\"name\":\"Item number %04d\",\"qty\":%d,\"price\":%02d.25},", k * 37 % 1000000,
        k % 10000, 1 + k % 4, 10 + k % 50);
  size_t used = wire->length - start;
  if (used + least <= whole) {
    put(wire, "{\"sku\":\"");
    memset(wire->block + wire->length, 'A', whole - used - least);
    wire->length += whole - used - least;
    put(wire, "\",\"qty\":1}");
  }
  put(wire, "%s", tail);
}

static void put_order(struct bench_wire *wire, struct slot *slot, size_t i) {
  size_t start = wire->length;
  const char *type = order_types[i % TYPES], *stage = stages[(i + 1) % TYPES];
  slot->type_bytes = strlen(type);
  slot->order_bytes = strlen("ORDER-000000");
  slot->stage_bytes = strlen(stage);
  slot->id = put_digits(wire, "id: ", ID_DIGITS);
  put(wire, "\nevent: %s\ndata: {\"eventType\":\"%s\",\"orderID\":\"", type, type);
  slot->order = wire->length;
  put(wire, "ORDER-000000\",\"timestamp\":\"");
  slot->ms = put_digits(wire, "2026-11-22T10:00:00.", MS_DIGITS);
  put(wire, "Z\",\"data\":{\"previousStage\":\"%s\",\"newStage\":\"%s\",", stages[i % TYPES], stage);
  if (wire->shape.stamped) {
    slot->stamp = put_digits(wire, "\"sentNs\":\"", STAMP_DIGITS);
    put(wire, "\",");
  }
  put(wire, "\"total\":%zu.5,\"items\":[", 12 + i % 7);
  put_items(wire, start);
}

/* The smallest event: 60 bytes with its id line. */
static void put_tick(struct bench_wire *wire, struct slot *slot, size_t i) {
  slot->type_bytes = 1;
  slot->order_bytes = strlen("O000000");
  slot->id = put_digits(wire, "id: ", ID_DIGITS);
  put(wire, "\ndata: {\"eventType\":\"%s\",\"orderID\":\"", tick_types[i % TYPES]);
  slot->order = wire->length;
  put(wire, "O000000\"}\n\n");
}

static void render_event(struct bench_wire *wire, struct slot *slot, size_t i) {
  size_t frame = wire->length;
  if (wire->shape.chunked) put(wire, "%06x\r\n", 0u);
  size_t start = wire->length;
  if (wire->shape.size_bytes < BENCH_ORDER_BYTES_MIN)
    put_tick(wire, slot, i);
  else
    put_order(wire, slot, i);
  slot->text_bytes = wire->length - start;
  if (wire->shape.chunked) {
    char size[7];
    snprintf(size, sizeof size, "%06x", (unsigned)slot->text_bytes & 0xffffffu);
    memcpy(wire->block + frame, size, 6);
    put(wire, "\r\n");
  }
  slot->end = wire->length;
}

struct bench_wire *bench_wire_new(const struct bench_wire_shape *shape) {
  struct bench_wire *wire = calloc(1, sizeof *wire);
  if (wire == NULL) return NULL;
  if (shape->size_bytes < 60) goto fail;
  wire->shape = *shape;
  wire->slot_count = BLOCK_BYTES / shape->size_bytes / TYPES * TYPES;
  if (wire->slot_count < EVENTS_MIN) wire->slot_count = EVENTS_MIN;
  wire->capacity_bytes = wire->slot_count * (shape->size_bytes + EVENT_SLACK);
  wire->block = malloc(wire->capacity_bytes);
  wire->slots = calloc(wire->slot_count, sizeof *wire->slots);
  if (wire->block == NULL || wire->slots == NULL) goto fail;
  for (size_t i = 0; i < wire->slot_count; i++) render_event(wire, &wire->slots[i], i);
  return wire;
fail:
  bench_wire_free(wire);
  return NULL;
}

void bench_wire_free(struct bench_wire *wire) {
  if (wire == NULL) return;
  free(wire->block);
  free(wire->slots);
  free(wire);
}

size_t bench_wire_capacity(const struct bench_wire *wire) {
  return wire->slot_count;
}

static void write_digits(char *at, int digits, uint64_t value) {
  for (char *digit = at + digits; digit-- > at; value /= 10) *digit = (char)('0' + value % 10);
}

static void note_order(const struct bench_wire *wire, const struct slot *slot, char note[16]) {
  snprintf(note, 16, "%.*s", (int)slot->order_bytes, wire->block + slot->order);
}

/* An order is six digits behind a prefix that tells the watched ones from the others. */
static void patch_order(struct bench_wire *wire, const struct slot *slot, const char *id, bool watched, uint64_t turn) {
  char *at = wire->block + slot->order;
  size_t prefix = slot->order_bytes - 6;
  memcpy(at, watched ? "WATCH-" : "ORDER-", prefix);
  if (watched)
    write_digits(at + prefix, 6, turn % BENCH_WATCHED_ORDERS);
  else
    memcpy(at + prefix, id + ID_DIGITS - 6, 6);
}

static void patch_event(struct bench_wire *wire, const struct slot *slot, const char *id, uint64_t number,
                        struct bench_account *account) {
  uint64_t every = wire->shape.watched_every;
  bool watched = every > 0 && number % every == 0;
  memcpy(wire->block + slot->id, id, ID_DIGITS);
  patch_order(wire, slot, id, watched, watched ? number / every : 0);
  if (slot->ms > 0) memcpy(wire->block + slot->ms, id + ID_DIGITS - MS_DIGITS, MS_DIGITS);
  if (slot->stamp > 0) write_digits(wire->block + slot->stamp, STAMP_DIGITS, bench_clock_ns());
  account->events++;
  account->bytes += slot->text_bytes;
  account->fields += slot->type_bytes + slot->order_bytes;
  account->stages += slot->stage_bytes;
  if (!watched) return;
  account->watched++;
  note_order(wire, slot, account->last_watched);
}

/* Counting up in text is what lets a server without division keep ahead of its clients. */
static void increment(char *digits) {
  char *digit = digits + ID_DIGITS - 1;
  while (digit > digits && *digit == '9') *digit-- = '0';
  ++*digit;
}

const char *bench_wire_render(struct bench_wire *wire, uint64_t first_id, size_t count, struct bench_account *account,
                              size_t *length) {
  char id[ID_DIGITS];
  write_digits(id, ID_DIGITS, first_id);
  for (size_t i = 0; i < count; i++) {
    patch_event(wire, &wire->slots[i], id, first_id + i, account);
    increment(id);
  }
  const struct slot *last = &wire->slots[count - 1];
  note_order(wire, last, account->last_order);
  *length = last->end;
  return wire->block;
}
