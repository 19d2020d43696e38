/*
 * renewal_scene.h - a scene (scene.h) whose stream is being renewed, brought to each phase of that.
 *
 * The clock does not count: credentials are good for an hour, and the test says when a renewal's time has come.
 */
#ifndef RENEWAL_SCENE_H
#define RENEWAL_SCENE_H

#include "client.h"
#include "scene.h"

#define HOUR_MS (60 * 60 * 1000)

static struct loopback_stream successor; /* the server's end of the new connection */

/* The next item is the question for headers; the answer is a token, good for `ttl_ms`. */
static inline void renewal_answer(const char *token, int64_t ttl_ms) {
  const sync_header header = {SPAN("X-Token"), span_of(token)};
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, &header, 1, ttl_ms, NULL), SYNC_OK);
}

/* A client whose stream is open, with token "1". */
static inline void renewal_open(void) {
  scene.options.ask_headers = true;
  scene_connect();
  scene_await_state(SYNC_CONNECTING);
  renewal_answer("1", HOUR_MS);
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
}

static inline enum sync_renewal_phase renewal_phase(void) {
  return scene.client->connection.renewal.phase;
}

/* The time of what the renewal waits for has come: to begin, to take over. */
static inline void renewal_make_due(void) {
  scene.client->connection.renewal.deadline_ms = 0;
  sync_client_set_timer(scene.client);
}

/* The renewal begins: the question has been answered with `token`, the request has come. */
static inline void renewal_begin(const char *token) {
  renewal_make_due();
  renewal_answer(token, HOUR_MS);
  loopback_accept(&scene.server, scene.loop, &successor);
  assert_int_equal(renewal_phase(), SYNC_RENEWAL_OPENING);
}

/* The successor answers with `text`; the client has looked at the response's head. */
static inline void renewal_respond(const char *text) {
  loopback_send(&successor, text);
  while (renewal_phase() == SYNC_RENEWAL_OPENING) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
}

/* The successor has responded: it becomes the stream, the `nth` of the client's renewals. The old one is closed. */
static inline void renewal_take_over(unsigned nth) {
  if (renewal_phase() == SYNC_RENEWAL_READY) renewal_make_due();
  while (scene_metrics().renewals < nth) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  assert_int_equal(scene_metrics().renewals, nth);
  loopback_await_end(scene.loop, &scene.stream);
  scene.stream = successor;
}

/* The next item is an event with this id. */
static inline void renewal_take_event(const char *id) {
  scene_take();
  if (scene.item.kind == SYNC_ITEM_ERROR) fail_msg("%s", scene.item.failure->message);
  assert_int_equal(scene.item.kind, SYNC_ITEM_EVENT);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ID), id);
}

/* The next item is an event without an id, and this is its data. */
static inline void renewal_take_data(const char *data) {
  renewal_take_event("");
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_DATA), data);
}

#endif
