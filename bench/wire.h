/*
 * wire.h - the event stream of the bench: order events rendered once, then patched before each send.
 *
 * Not a socket and not a parser. A wire owns one block of rendered events and the place of every field that changes
 * from event to event; it also keeps the account of what was sent, against which each client's own count is checked.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The orders that a client may subscribe to one by one: WATCH-000000 to WATCH-009999. */
#define BENCH_WATCHED_ORDERS 10000

/* From this size on an event has the whole order form; below it, two fields and no `event:` line. */
#define BENCH_ORDER_BYTES_MIN 200

struct bench_wire_shape {
  size_t size_bytes;      /* of one event on the wire, its blank line included */
  uint64_t watched_every; /* one event in this many is about a watched order; 0: none is */
  bool chunked;           /* each event is a chunk of its own, as a Node server sends it */
  bool stamped;           /* data.sentNs holds CLOCK_MONOTONIC at the send */
};

/* What went out, summed over the events of a test. */
struct bench_account {
  uint64_t events;
  uint64_t bytes;      /* of event stream text: chunk framing not counted */
  uint64_t fields;     /* lengths of eventType and orderID */
  uint64_t stages;     /* lengths of data.newStage */
  uint64_t watched;    /* events about watched orders */
  char last_order[16]; /* order id of the last event, and of the last watched one */
  char last_watched[16];
};

struct bench_wire;

/* A wire of that shape, or NULL (no memory, or a size below 60 bytes). */
struct bench_wire *bench_wire_new(const struct bench_wire_shape *shape);
void bench_wire_free(struct bench_wire *wire);

/* How many events one block holds. */
size_t bench_wire_capacity(const struct bench_wire *wire);

/* Makes the block say events `first_id` and up, `count` of them (at most the capacity), adds them to `account` and
 * returns the bytes to send, which stay valid until the next call. */
const char *bench_wire_render(struct bench_wire *wire, uint64_t first_id, size_t count, struct bench_account *account,
                              size_t *length);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_clock_ns(void);

#endif
