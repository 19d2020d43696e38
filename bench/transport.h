/*
 * transport.h - libcurl's multi interface on a libuv loop, as thin as it can be: what the yardsticks receive through.
 *
 * Not the engine: no reconnection, no watchdog, no checks of the response. It drives curl as the engine does (socket
 * and timer callbacks, a 64 KiB receive buffer), so that the difference between the two is the engine's own work.
 */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <stddef.h>

struct bench_transport;
struct bench_transfer;

/* Where a transfer's body goes, and that it has ended (the transfer may be freed in `ended`). */
struct bench_receiver {
  void (*bytes)(void *arg, const char *bytes, size_t length);
  void (*ended)(void *arg);
  void *arg;
};

/* Both end the process with a message when they fail: a yardstick has nothing to save. */
struct bench_transport *bench_transport_new(void);
struct bench_transfer *bench_transfer_new(struct bench_transport *transport, const char *url, const char *last_event_id,
                                          const struct bench_receiver *receiver);

/* Runs until every transfer has ended or bench_transport_stop() was called. */
void bench_transport_run(struct bench_transport *transport);
void bench_transport_stop(struct bench_transport *transport);

void bench_transfer_free(struct bench_transfer *transfer);
void bench_transport_free(struct bench_transport *transport); /* its transfers were freed before */

#endif
