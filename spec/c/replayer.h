/*
 * replayer.h - a server on the scene's listener that replays by Last-Event-ID, as the program does between the client's
 * turns: whatever has to be accepted, read or sent is, a bit a turn.
 */
#ifndef REPLAYER_H
#define REPLAYER_H

#include <stdlib.h>

#include "scene.h"

#define EVENTS         60u
#define EVENTS_A_VISIT 25u
#define EVENTS_BETWEEN 5u   /* that an open stream gets when another is opened beside it */
#define BYTES_A_TURN   700u /* cuts lines and events anywhere */

struct visit {
  int socket; /* -1: none */
  char request[4096];
  size_t request_length;
  char script[64 * 1024];
  size_t length;
  size_t sent;
  unsigned last; /* event in the script; 0: no stream */
  bool ends;     /* with the script; else it stays open, and silent */
};

static struct {
  bool stays;             /* streams stay open, so that one can be opened beside another */
  bool moved;             /* streams are at /moved, and other paths lead there */
  struct visit visits[2]; /* the stream and its successor */
} replayer;

static inline void replayer_hang_up(struct visit *visit) {
  if (visit->socket >= 0) close(visit->socket);
  visit->socket = -1;
  visit->last = 0;
}

static inline void replayer_open(void) {
  replayer.visits[0].socket = replayer.visits[1].socket = -1;
}

static inline void replayer_close(void) {
  for (size_t i = 0; i < COUNT_OF(replayer.visits); i++) replayer_hang_up(&replayer.visits[i]);
}

/* ---- what is sent ------------------------------------------------------------------------------------------------ */

static inline void replayer_append(struct visit *visit, const char *format, unsigned id) {
  size_t room = sizeof visit->script - visit->length;
  int length = snprintf(visit->script + visit->length, room, format, id, id);
  assert_in_range(length, 1, room - 1);
  visit->length += (size_t)length;
}

/* Events of every kind that takes memory of its own: escapes, bytes to repair, more than a segment, several lines. */
static inline void replayer_append_event(struct visit *visit) {
  static const char *const formats[] = {
      "id: %u\r\ndata: {\"orderID\":\"\\u004f%u\"}\r\n\r\n",
      "id: %u\nevent: t\xff\ndata: {\"orderID\":\"\xe2\x82 %u\"}\n\n",
      ": a comment\nid: %u\ndata: {\"orderID\":\ndata: \"%u\"}\n\n",
      "id: %u\ndata: {\"eventType\":\"type %u\"}\n\n",
      "id: %u\ndata: {\"data\":\"%05000u\"}\n\n",
      "retry: 0\nid: %u\ndata: {\"n\":%u}\n\n",
  };
  visit->last++;
  replayer_append(visit, formats[visit->last % COUNT_OF(formats)], visit->last);
}

static inline void replayer_append_events(struct visit *visit, unsigned count) {
  while (count-- > 0 && visit->last < EVENTS) replayer_append_event(visit);
}

static inline void replayer_answer(struct visit *visit) {
  const char *id = strstr(visit->request, "Last-Event-ID: ");
  visit->length = visit->sent = visit->request_length = 0;
  visit->ends = true;
  if (replayer.moved && !strstr(visit->request, " /moved ")) {
    replayer_append(visit, "HTTP/1.1 307 Moved\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n", 0);
    return;
  }
  for (size_t i = 0; i < COUNT_OF(replayer.visits); i++)
    if (replayer.visits[i].last > 0) replayer_append_events(&replayer.visits[i], EVENTS_BETWEEN);
  replayer_append(visit, LOOPBACK_STREAM_HEAD, 0);
  visit->last = id ? (unsigned)strtoul(id + strlen("Last-Event-ID: "), NULL, 10) : 0;
  visit->ends = !replayer.stays;
  replayer_append_events(visit, EVENTS_A_VISIT);
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static inline bool replayer_can_read(int socket) {
  struct pollfd one = {.fd = socket, .events = POLLIN};
  return poll(&one, 1, 0) > 0;
}

static inline void replayer_read(struct visit *visit) {
  size_t room = sizeof visit->request - 1 - visit->request_length;
  ssize_t got = recv(visit->socket, visit->request + visit->request_length, room, MSG_DONTWAIT);
  if (got <= 0) {
    replayer_hang_up(visit);
    return;
  }
  visit->request_length += (size_t)got;
  visit->request[visit->request_length] = '\0';
  if (strstr(visit->request, "\r\n\r\n")) replayer_answer(visit);
}

static inline void replayer_send(struct visit *visit) {
  size_t length = visit->length - visit->sent;
  if (length > BYTES_A_TURN) length = BYTES_A_TURN;
  ssize_t took = send(visit->socket, visit->script + visit->sent, length, MSG_NOSIGNAL);
  visit->sent += took > 0 ? (size_t)took : 0;
  if (took < 0 || (visit->ends && visit->sent == visit->length)) replayer_hang_up(visit);
}

static inline void replayer_accept(struct visit *visit) {
  visit->socket = accept4(scene.server.listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(visit->socket >= 0);
  visit->length = visit->sent = visit->request_length = 0;
  visit->last = 0;
}

/* Whether there was anything to do for this visit. */
static inline bool replayer_serve_one(struct visit *visit) {
  if (visit->socket < 0) {
    if (!replayer_can_read(scene.server.listener)) return false;
    replayer_accept(visit);
  } else if (visit->sent < visit->length) {
    replayer_send(visit);
  } else {
    if (!replayer_can_read(visit->socket)) return false;
    replayer_read(visit);
  }
  return true;
}

/* Whether there was anything to do. */
static inline bool replayer_serve(void) {
  bool did = false;
  for (size_t i = 0; i < COUNT_OF(replayer.visits); i++) did = replayer_serve_one(&replayer.visits[i]) || did;
  return did;
}

#endif
