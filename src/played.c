/*
 * played.c - a loop without network and clock: the host plays the server and says what time it is.
 *
 * It takes the place of transport.c and of uv's timers, and of nothing else.
 */
#include <string.h>

#include "client.h"
#include "error.h"

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* The earlier of two times, -1 being never. */
static int64_t earlier(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return a < 0 ? b : a;
  return a < b ? a : b;
}

static int64_t due_ms(const sync_loop *loop) {
  int64_t due = loop->alarm_at_ms;
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    due = earlier(due, link->client->armed_ms);
  return due;
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

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* The one that was asked last: a renewal's request, if it is under way. */
static struct sync_stream *waiting(const sync_client *client) {
  if (client->successor && client->successor->play.running && !client->successor->play.answered)
    return client->successor;
  return client->stream->play.running && !client->stream->play.answered ? client->stream : NULL;
}

bool sync_client_play_request(const sync_client *client, sync_played_request *request) {
  const struct sync_stream *stream = sync_loop_is_played(client->loop) ? waiting(client) : NULL;
  if (!stream) return false;
  bool abroad = stream->redirect.abroad;
  *request = (sync_played_request){
      .url = sync_stream_url(stream),
      .headers = client->options.headers,
      .header_count = abroad ? 0 : client->options.header_count,
      .answer = stream->answer,
      .answer_count = abroad ? 0 : stream->answer_count,
      .last_event_id = sync_client_resume_id(client),
      .renewal = stream == client->successor,
  };
  return true;
}

/* As the transport does it: no more of this exchange, then the news. */
static void end(struct sync_stream *stream, sync_code code, sync_span excerpt) {
  sync_stream_abort(stream);
  sync_intake_handlers.done(stream, code, sync_code_text(code), excerpt);
}

void sync_client_play_response(sync_client *client, int status, const char *content_type, const char *location,
                               int64_t retry_after_ms, sync_span text) {
  const struct sync_response response = {
      .status = status, .content_type = content_type, .location = location, .retry_after_ms = retry_after_ms};
  struct sync_stream *stream = sync_loop_is_played(client->loop) ? waiting(client) : NULL;
  if (!stream) return;
  stream->play.answered = true;
  if (sync_intake_handlers.response(stream, &response) != SYNC_BODY_TAKE) end(stream, SYNC_STREAM_ENDED, text);
}

static void hand_on(struct sync_stream *stream, sync_span bytes) {
  size_t took = sync_intake_handlers.bytes(stream, bytes.bytes, bytes.length);
  stream->play.paused = false;
  if (took == SYNC_EXCHANGE_FAIL) {
    end(stream, SYNC_STREAM_CUT, (sync_span){"", 0});
  } else if (took < bytes.length) {
    stream->play.paused = sync_buffer_append(&stream->play.kept, (sync_span){bytes.bytes + took, bytes.length - took});
    if (!stream->play.paused) end(stream, SYNC_NO_MEMORY, (sync_span){"", 0});
  }
}

static void resume(struct sync_stream *stream) {
  if (!stream || !stream->play.paused || !sync_intake_handlers.has_room(stream)) return;
  struct sync_buffer kept = stream->play.kept;
  sync_buffer_init(&stream->play.kept, stream->client->alloc);
  hand_on(stream, sync_buffer_span(&kept));
  sync_buffer_fini(&kept);
}

void sync_played_resume(sync_loop *loop) {
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    resume(link->client->stream);
}

void sync_client_play_bytes(sync_client *client, sync_span bytes) {
  struct sync_stream *stream = client->stream;
  if (!stream->play.answered) return;
  if (!stream->play.paused)
    hand_on(stream, bytes);
  else if (!sync_buffer_append(&stream->play.kept, bytes))
    end(stream, SYNC_NO_MEMORY, (sync_span){"", 0});
}

void sync_client_play_end(sync_client *client, sync_code code) {
  struct sync_stream *stream = waiting(client);
  if (!stream && client->stream->play.running) stream = client->stream;
  if (stream) end(stream, code, (sync_span){"", 0});
}
