/*
 * played.c - a loop without network and clock: the host plays the server and says what time it is.
 *
 * It takes the place of transport.c and of uv's timers, and of nothing else.
 */
#include <limits.h>
#include <string.h>

#include "client.h"
#include "due.h"
#include "error.h"

static const sync_span nothing = {"", 0};

/* ---- time -------------------------------------------------------------------------------------------------------- */

static int64_t due_ms(const sync_loop *loop) {
  int64_t due = loop->alarm_at_ms;
  for (const struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    due = sync_due_earlier_ms(due, link->client->armed_ms);
  return due;
}

int sync_played_due_in_ms(const sync_loop *loop) {
  int64_t due = due_ms(loop);
  if (due < 0) return -1;
  int64_t left_ms = due - loop->played_ms;
  if (left_ms < 0) return 0;
  return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void ring(sync_loop *loop) {
  if (loop->alarm_at_ms < 0 || loop->alarm_at_ms > loop->played_ms) return;
  loop->alarm_at_ms = -1;
  loop->arrivals++;
}

void sync_loop_play(sync_loop *loop, int64_t until_ms) {
  if (!sync_loop_ours(loop) || !sync_loop_is_played(loop)) return;
  int64_t due = due_ms(loop);
  int64_t next_ms = due >= 0 && due < until_ms ? due : until_ms;
  if (next_ms > loop->played_ms) loop->played_ms = next_ms;
  ring(loop);
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    if (link->client->armed_ms >= 0 && link->client->armed_ms <= loop->played_ms) sync_client_tick(link->client);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* A poll's first: it is answered at once, or its host waits for nothing else. Of the others the one that was asked
 * last: a renewal's. */
static struct sync_stream *waiting(const sync_client *client) {
  struct sync_stream *const streams[] = {client->poll.stream, client->successor, client->stream};
  if (!sync_loop_ours(client->loop)) return NULL;
  for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
    if (streams[i] && streams[i]->play.running && !streams[i]->play.answered) return streams[i];
  return NULL;
}

bool sync_client_play_request(const sync_client *client, sync_played_request *request) {
  const struct sync_stream *stream = waiting(client);
  if (!stream) return false;
  bool is_poll = stream == client->poll.stream;
  bool bare = stream->redirect.abroad || (is_poll && !sync_poll_place(client)->with_client_headers);
  *request = (sync_played_request){
      .number = stream->play.number,
      .url = sync_stream_url(stream),
      .headers = client->options.headers,
      .header_count = bare ? 0 : client->options.header_count,
      .answer = stream->answer,
      .answer_count = bare ? 0 : stream->answer_count,
      .last_event_id = is_poll ? nothing : sync_client_resume_id(client),
      .renewal = stream == client->successor,
      .poll = is_poll,
  };
  return true;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* As the transport does it: no more of this exchange, then the news. */
static void end(struct sync_stream *stream, sync_code code, sync_span excerpt) {
  const struct sync_exchange_handlers *handlers = stream->play.handlers;
  sync_stream_abort(stream);
  handlers->done(stream, code, sync_code_text(code), excerpt);
}

static void hand_on(struct sync_stream *stream, sync_span bytes) {
  size_t took = stream->play.handlers->bytes(stream, bytes.bytes, bytes.length);
  stream->play.paused = false;
  if (took == SYNC_EXCHANGE_FAIL) {
    end(stream, SYNC_STREAM_CUT, nothing);
  } else if (took < bytes.length) {
    stream->play.paused = sync_buffer_append(&stream->play.kept, (sync_span){bytes.bytes + took, bytes.length - took});
    if (!stream->play.paused) end(stream, SYNC_NO_MEMORY, nothing);
  }
}

void sync_client_play_response(sync_client *client, int status, const char *content_type, const char *location,
                               int64_t retry_after_ms, sync_span text) {
  const struct sync_response response = {
      .status = status, .content_type = content_type, .location = location, .retry_after_ms = retry_after_ms};
  struct sync_stream *stream = waiting(client);
  if (!stream) return;
  stream->play.answered = true;
  if (stream->play.handlers->response(stream, &response) != SYNC_BODY_TAKE) {
    end(stream, SYNC_STREAM_ENDED, text);
    return;
  }
  if (text.length > 0) hand_on(stream, text);
  if (stream == client->poll.stream && stream->play.running) end(stream, SYNC_STREAM_ENDED, nothing);
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

static bool has_room(const sync_client *client) {
  struct sync_stream *stream = client->stream;
  return stream->play.paused && stream->play.handlers->has_room(stream);
}

static void resume(sync_client *client) {
  struct sync_stream *stream = client->stream;
  if (!has_room(client)) return;
  struct sync_buffer kept = stream->play.kept;
  sync_buffer_init(&stream->play.kept, client->alloc);
  hand_on(stream, sync_buffer_span(&kept));
  sync_buffer_fini(&kept);
}

void sync_played_resume(sync_loop *loop) {
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next) resume(link->client);
}

bool sync_played_can_resume(const sync_loop *loop) {
  const struct sync_link *link = loop->clients.next;
  while (link != &loop->clients && !has_room(link->client)) link = link->next;
  return link != &loop->clients;
}

bool sync_client_play_bytes(sync_client *client, sync_span bytes) {
  struct sync_stream *stream = client->stream;
  if (!sync_loop_ours(client->loop) || !stream->play.answered) return false;
  if (!stream->play.paused)
    hand_on(stream, bytes);
  else if (!sync_buffer_append(&stream->play.kept, bytes))
    end(stream, SYNC_NO_MEMORY, nothing);
  return true;
}

bool sync_client_play_end(sync_client *client, sync_code code) {
  struct sync_stream *stream = waiting(client);
  if (!stream && sync_loop_ours(client->loop) && client->stream->play.running) stream = client->stream;
  if (stream) end(stream, code, nothing);
  return stream != NULL;
}
