/* bookkeeping.c - what events do to the order book, and what the book knows of them in return. */
#include "client.h"
#include "span.h"

bool sync_books_are_kept(const sync_client *client) {
  return client->options.book_limit > 0 && client->options.decode == SYNC_DECODE_ORDER;
}

/* The server says that it cannot replay all that was missed. */
static bool is_resync(sync_span type) {
  return sync_span_is(type, "resync");
}

/* What the stream says, as polls will be held against it. false: no memory. */
static bool compare(sync_client *client, const struct sync_news *news, const struct sync_change *change) {
  if (!sync_comparison_is_on(client) || (!change && !is_resync(news->type))) return true;
  return sync_comparison_hear(client, change);
}

/* A name in plain text; `room` has been made for it if it has JSON escapes. */
static sync_span plain(struct sync_buffer *room, sync_span text, bool escaped) {
  if (!escaped) return text;
  sync_span out = {room->bytes + room->length, sync_json_unescape(text, room->bytes + room->length)};
  room->length += out.length;
  return out;
}

/* Whether a poll was the last to tell of the order. What the first snapshot brought nobody has been told. */
static bool was_polled(const sync_client *client, sync_span order_id, sync_order *known) {
  return client->polled && sync_book_get(&client->book, order_id, known) && known->source != SYNC_SOURCE_STREAM &&
         !known->silent;
}

/* What came by polling while the stream was away had happened before; the stream then tells of it again, step by step.
 * Such a step is known already if it leads nowhere new. */
static bool leads_nowhere(enum sync_book_outcome outcome) {
  return outcome == SYNC_BOOK_OLDER || outcome == SYNC_BOOK_SAME;
}

/* Several steps may have been made in the millisecond that the order is known as of: the next one begins where the
 * order is. */
static bool is_of_the_same_moment(const struct sync_change *change, const sync_order *known) {
  return change->at_ms > 0 && change->at_ms == known->updated_ms && change->previous_stage.length > 0 &&
         !sync_span_same(change->previous_stage, known->stage);
}

enum sync_books_verdict sync_books_enter(sync_client *client, struct sync_envelope *envelope) {
  struct sync_buffer *room = &client->poll.data;
  struct sync_change change;
  struct sync_book_effect effect;
  sync_order known;
  sync_buffer_clear(room);
  size_t bytes = envelope->type.length + envelope->order_id.length + envelope->timestamp.length;
  bool escaped = envelope->type_escaped || envelope->order_id_escaped || envelope->timestamp_escaped;
  if (escaped && !sync_buffer_reserve(room, bytes)) return SYNC_BOOKS_NO_MEMORY; /* or the spans would move */
  const struct sync_news news = {
      .type = plain(room, envelope->type, envelope->type_escaped),
      .order_id = plain(room, envelope->order_id, envelope->order_id_escaped),
      .timestamp = plain(room, envelope->timestamp, envelope->timestamp_escaped),
      .data = envelope->data,
  };
  enum sync_change_outcome read = sync_change_read(&client->loop->changes, &news, &change);
  if (read == SYNC_CHANGE_NO_MEMORY || !compare(client, &news, read == SYNC_CHANGE_READ ? &change : NULL))
    return SYNC_BOOKS_NO_MEMORY;
  if (read != SYNC_CHANGE_READ) return SYNC_BOOKS_NOTHING;
  bool polled = was_polled(client, change.order_id, &known);
  if (polled && is_of_the_same_moment(&change, &known)) return SYNC_BOOKS_OVERTAKEN;
  change.as_of_ms = client->chunk_at_ms;
  enum sync_book_outcome outcome = sync_book_apply(&client->book, &change, &effect);
  if (outcome == SYNC_BOOK_NO_MEMORY) return SYNC_BOOKS_NO_MEMORY;
  if (polled && leads_nowhere(outcome)) return SYNC_BOOKS_OVERTAKEN;
  if (effect.changed & SYNC_BOOK_STAGE) envelope->previous_stage = effect.previous_stage;
  return SYNC_BOOKS_ENTERED;
}

/* ---- what hosts see ---------------------------------------------------------------------------------------------- */

bool sync_client_order(const sync_client *client, sync_span order_id, sync_order *order) {
  return sync_book_get(&client->book, order_id, order);
}

size_t sync_client_order_count(const sync_client *client) {
  return sync_book_count(&client->book);
}

bool sync_client_each_order(const sync_client *client, sync_order_place *place, sync_order *order) {
  return sync_book_each(&client->book, place, order);
}
