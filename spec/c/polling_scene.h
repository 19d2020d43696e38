/*
 * polling_scene.h - a scene (scene.h) with something to poll: requests for snapshots, answers, and what they bring.
 *
 * Polls are made when the test asks for one, in mode "off": nothing depends on the clock.
 */
#ifndef POLLING_SCENE_H
#define POLLING_SCENE_H

#include "client.h"
#include "scene.h"

#define HOUR_MS (60 * 60 * 1000)

static struct loopback_stream poll_request; /* the server's end of a poll's connection */

static inline int polling_set_up(void **state) {
  int result = scene_set_up(state);
  scene.options.mode = SYNC_MODE_OFF;
  scene.options.poll_url = "/orders";
  scene.options.poll_interval_ms = 1;
  scene.options.poll_timeout_ms = HOUR_MS;
  return result;
}

static inline void polling_accept(void) {
  loopback_accept(&scene.server, scene.loop, &poll_request);
  assert_true(strncmp(poll_request.request, "GET /orders", 11) == 0);
}

/* `head` is lines, each with its CRLF. */
static inline void polling_respond_with(const char *status, const char *head, const char *body) {
  char text[512];
  (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", status,
                 strlen(body), head);
  loopback_send(&poll_request, text);
  if (*body) loopback_send(&poll_request, body);
  loopback_hang_up(&poll_request);
}

static inline void polling_respond(const char *body) {
  polling_respond_with("200 OK", "Content-Type: application/json\r\n", body);
}

/* One poll, answered with this snapshot. */
static inline void polling_poll(const char *body) {
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  polling_respond(body);
}

/* ---- what came --------------------------------------------------------------------------------------------------- */

static char polling_news[4096];

static inline void polling_note(const char *format, ...) {
  size_t length = strlen(polling_news);
  va_list arguments;
  va_start(arguments, format);
  int added = vsnprintf(polling_news + length, sizeof polling_news - length, format, arguments);
  va_end(arguments);
  assert_in_range(added, 1, sizeof polling_news - 1 - length);
}

static inline void polling_note_event(const sync_event *event) {
  sync_span type = sync_event_text(event, SYNC_EVENT_TYPE), order_id = sync_event_text(event, SYNC_EVENT_ORDER_ID);
  const char *source = sync_source_name(sync_event_source(event));
  polling_note("%.*s %.*s %s; ", (int)type.length, type.bytes, (int)order_id.length, order_id.bytes, source);
}

static inline void polling_note_report(const sync_poll_report *report) {
  if (report->unchanged)
    polling_note("unchanged;");
  else
    polling_note("%d of %d;", (int)report->changed, (int)report->orders);
}

/* What comes next, up to the end of a poll: "type order source; CODE; changed of orders;", and nothing else. */
static inline void polling_expect(const char *expected) {
  polling_news[0] = '\0';
  do {
    scene_take();
    if (scene.item.kind == SYNC_ITEM_EVENT) polling_note_event(scene.item.event);
    if (scene.item.kind == SYNC_ITEM_ERROR) polling_note("%s; ", sync_code_name(scene.item.failure->code));
  } while (scene.item.kind != SYNC_ITEM_POLLED);
  polling_note_report(scene.item.poll);
  assert_string_equal(polling_news, expected);
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_EVENT);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_TYPE), "polling_data_refresh");
}

#endif
