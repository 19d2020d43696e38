/*
 * snapshots.c - takes a snapshot in: what it says goes into the order book, and what that changes is brought as events,
 * as if the server had sent them.
 *
 * Bit by bit, as long as the queue has room and the step has budget; sync_snapshots_go_on() is called again then. The
 * first snapshot fills the book and is no news.
 */
#include "client.h"
#include "error.h"
#include "span.h"
#include "utf8.h"
#include "wire.h"

/* ---- events ------------------------------------------------------------------------------------------------------ */

struct part {
  unsigned bit; /* of sync_book_effect.changed */
  const char *type;
  const char *previous;
  const char *now;
};

static const struct part parts[] = {
    {SYNC_BOOK_STAGE, "stage_change", "previousStage", "newStage"},
    {SYNC_BOOK_PAYMENT, "payment_update", "previousPaymentStatus", "paymentStatus"},
    {SYNC_BOOK_STATUS, "status_update", "previousOverallStatus", "overallStatus"},
};

/* An event of ours, through the same door as the server's. */
static bool bring(sync_client *client, const char *type, sync_span order_id, sync_span data) {
  struct sync_poll *poll = &client->poll;
  sync_buffer_clear(&poll->raw);
  if (!sync_wire_event(&poll->raw, &client->names, sync_span_of(type), order_id, sync_loop_wall_ms(client->loop), data))
    return false;
  return sync_client_bring(client, poll->source, sync_buffer_span(&poll->raw));
}

static bool put(struct sync_buffer *out, const char *text) {
  return sync_buffer_append(out, sync_span_of(text));
}

static bool put_text_member(struct sync_buffer *out, const char *name, sync_span value) {
  return value.length == 0 ||
         (sync_wire_string(out, sync_span_of(name)) && put(out, ":") && sync_wire_string(out, value) && put(out, ","));
}

/* {"previousStage":..,"newStage":..,"order":{..}} */
static bool write_data(struct sync_buffer *out, const struct part *part, sync_span previous, sync_span now,
                       sync_span order) {
  sync_buffer_clear(out);
  bool whole = put(out, "{");
  if (part) whole = whole && put_text_member(out, part->previous, previous) && put_text_member(out, part->now, now);
  return whole && put(out, "\"order\":") && sync_buffer_append(out, order) && put(out, "}");
}

static bool bring_order(sync_client *client, const char *type, const struct part *part, sync_span previous,
                        sync_span now, const sync_order *order) {
  return write_data(&client->poll.data, part, previous, now, order->json) &&
         bring(client, type, order->id, sync_buffer_span(&client->poll.data));
}

static bool bring_parts(sync_client *client, const struct sync_book_effect *effect, const sync_order *order) {
  const sync_span previous[] = {effect->previous_stage, effect->previous_payment, effect->previous_status};
  const sync_span now[] = {order->stage, order->payment, order->status};
  bool brought = true, told = false;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (!(effect->changed & parts[i].bit)) continue;
    told = true;
    brought = bring_order(client, parts[i].type, &parts[i], previous[i], now[i], order) && brought;
  }
  const sync_span none = {"", 0};
  return told ? brought : bring_order(client, "order_updated", NULL, none, none, order);
}

static bool bring_news(sync_client *client, enum sync_book_outcome outcome, const struct sync_book_effect *effect,
                       sync_span order_id) {
  const sync_span none = {"", 0};
  sync_order order;
  if (outcome == SYNC_BOOK_DELETED) return bring(client, "order_deleted", order_id, sync_span_of("{}"));
  if (!sync_book_get(&client->book, order_id, &order)) return true;
  if (outcome == SYNC_BOOK_NEW) return bring_order(client, "order_created", NULL, none, none, &order);
  return bring_parts(client, effect, &order);
}

/* ---- taking in --------------------------------------------------------------------------------------------------- */

static void tell_lost(sync_client *client, sync_span order_id) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_NO_MEMORY, "no memory for a change of order '%.*s' that a poll found",
                   (int)order_id.length, order_id.bytes);
  sync_client_tell_failure(client, &failure);
  client->poll.lost = true;
}

/* false: no memory, and the book is as it was. */
static bool apply(sync_client *client, struct sync_change *change) {
  struct sync_poll *poll = &client->poll;
  struct sync_book_effect effect;
  change->as_of_ms = poll->asked_at_ms;
  change->mark = poll->mark;
  change->source = poll->source;
  change->silent = !poll->loaded;
  enum sync_book_outcome outcome = sync_book_apply(&client->book, change, &effect);
  bool news = outcome == SYNC_BOOK_NEW || outcome == SYNC_BOOK_CHANGED || outcome == SYNC_BOOK_DELETED;
  if (outcome == SYNC_BOOK_FULL || outcome == SYNC_BOOK_REFUSED) poll->lost = true;
  if (!news) return outcome != SYNC_BOOK_NO_MEMORY;
  poll->changed++;
  client->polled = true;
  if (poll->loaded && !bring_news(client, outcome, &effect, change->order_id)) tell_lost(client, change->order_id);
  return true;
}

static void finish(sync_client *client);

/* What it would have said further on is not known, so nothing counts as missing. */
static void give_up(sync_client *client) {
  sync_snapshots_stop(client);
  sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory to read a snapshot to its end");
}

/* Whether one order was asked for, and this is not it. */
static bool is_another(const sync_client *client, const struct sync_change *change) {
  return client->poll.by_order && !sync_span_is(change->order_id, client->options.order_id);
}

/* One order, if there is one more. */
static void take_order(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  struct sync_change change = {.whole = true};
  switch (sync_snapshot_next(&poll->snapshot, &change)) {
  case SYNC_SNAPSHOT_ORDER:
    if (is_another(client, &change)) {
      poll->snapshot.bad++;
      break;
    }
    poll->matched = true;
    poll->orders++;
    sync_comparison_list(client, &change);
    if (!apply(client, &change)) give_up(client);
    break;
  case SYNC_SNAPSHOT_END: poll->stage = SYNC_POLL_MISSING; break;
  case SYNC_SNAPSHOT_NO_MEMORY: give_up(client); break;
  }
}

/* One order that the snapshot lacks; its id is copied, for the book forgets it. */
static void take_missing(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  sync_order order;
  if (poll->walked != sync_book_mark(&client->book)) poll->cursor.begun = false; /* the stream's news ended the walk */
  if (!sync_book_each_missing(&client->book, poll->mark, &poll->cursor, &order)) {
    finish(client);
    return;
  }
  sync_buffer_clear(&poll->data);
  bool taken = sync_buffer_append(&poll->data, order.id);
  struct sync_change change = {.deleted = true, .order_id = sync_buffer_span(&poll->data)};
  if (!taken || !apply(client, &change)) give_up(client);
  poll->walked = sync_book_mark(&client->book);
}

/* The one order that was asked for has been deleted. */
static void take_gone(sync_client *client) {
  struct sync_change change = {.deleted = true, .order_id = sync_span_of(client->options.order_id)};
  if (apply(client, &change))
    finish(client);
  else
    give_up(client);
}

/* What the snapshot lacks, one bit; of one that does not have everything, nothing. */
static void take_absent(sync_client *client) {
  const struct sync_poll *poll = &client->poll;
  if (poll->gone)
    take_gone(client);
  else if (poll->by_order || client->options.poll_is_partial || !poll->loaded || poll->snapshot.bad > 0)
    finish(client);
  else
    take_missing(client);
}

static bool may_go_on(sync_client *client) {
  return !sync_queue_full(&client->queue) && !sync_loop_over_budget(client->loop);
}

bool sync_snapshots_can_go_on(const sync_client *client) {
  return client->poll.stage != SYNC_POLL_NOTHING && client->queue.count <= client->queue.limit / 2;
}

void sync_snapshots_go_on(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  while (poll->stage == SYNC_POLL_ORDERS && may_go_on(client)) take_order(client);
  while (poll->stage == SYNC_POLL_MISSING && may_go_on(client)) take_absent(client);
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

/* Every poll is told, and refreshes what listens for that. */
static void tell_end(sync_client *client, bool unchanged) {
  struct sync_poll *poll = &client->poll;
  sync_cures_end(client, poll->whole);
  sync_poll_report *report = sync_alloc_zeroed(client->alloc, sizeof *report);
  if (report) {
    *report = (sync_poll_report){poll->source, unchanged, poll->orders, poll->changed};
    sync_client_tell(client, (struct sync_entry){.kind = SYNC_ITEM_POLLED, .poll = report});
  }
  sync_buffer_clear(&poll->data);
  if (put(&poll->data, "{}"))
    (void)bring(client, "polling_data_refresh", (sync_span){"", 0}, sync_buffer_span(&poll->data));
  if (!poll->poller.again) poll->next_source = SYNC_SOURCE_POLL;
  sync_poller_succeeded(&poll->poller, sync_loop_now_ms(client->loop));
  sync_client_set_timer(client);
}

/* Whether it left nothing out of what there is to know. */
static bool is_whole(const sync_client *client) {
  const struct sync_poll *poll = &client->poll;
  if (poll->snapshot.bad > 0 || poll->lost) return false;
  return poll->by_order ? poll->matched || poll->gone : !client->options.poll_is_partial;
}

static void finish(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  sync_failure failure;
  if (poll->snapshot.bad > 0) {
    sync_failure_set(&failure, SYNC_SNAPSHOT,
                     poll->by_order ? "%llu elements of the answer are not the order that was asked for"
                                    : "%llu elements of the snapshot are no order with an id",
                     (unsigned long long)poll->snapshot.bad);
    sync_client_tell_failure(client, &failure);
  }
  sync_snapshots_stop(client);
  sync_comparison_end(client);
  poll->loaded = true;
  poll->whole = is_whole(client);
  if (poll->matched && poll->by_order) poll->order_found = true;
  tell_end(client, false);
}

void sync_snapshots_stop(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  if (poll->stage != SYNC_POLL_NOTHING) {
    sync_snapshot_fini(&poll->snapshot);
    client->loop->snapshots--;
  }
  poll->stage = SYNC_POLL_NOTHING;
  sync_buffer_fini(&poll->body);
}

void sync_snapshots_unchanged(sync_client *client) {
  client->poll.orders = client->poll.changed = 0;
  client->counters.totals.polls_unchanged++;
  tell_end(client, true);
}

/* The readers of JSON rely on valid UTF-8, as the stream's parser sees to it. false: no memory. */
static bool repair(struct sync_poll *poll) {
  struct sync_buffer repaired;
  if (sync_utf8_valid(sync_buffer_span(&poll->body))) return true;
  sync_buffer_init(&repaired, poll->body.alloc);
  bool whole = sync_utf8_append(&repaired, sync_buffer_span(&poll->body));
  sync_buffer_fini(whole ? &poll->body : &repaired);
  if (whole) poll->body = repaired;
  return whole;
}

void sync_snapshots_begin(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  poll->orders = poll->changed = 0;
  if (!sync_books_are_kept(client)) { /* there is nothing to compare it with */
    tell_end(client, false);
    return;
  }
  if (!repair(poll)) {
    sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory for a snapshot");
    return;
  }
  const sync_span text = sync_buffer_span(&poll->body);
  size_t at_byte = 0;
  if (!sync_snapshot_init(&poll->snapshot, client->alloc, &client->loop->order_names, text, &at_byte)) {
    sync_failure failure;
    int shown = text.length < 200 ? (int)text.length : 200;
    sync_failure_set(&failure, SYNC_SNAPSHOT, "the snapshot is no list of orders (byte %zu): %.*s", at_byte + 1, shown,
                     text.bytes);
    sync_poll_fail(client, &failure, 0);
    return;
  }
  poll->lost = false;
  poll->cursor = (sync_order_place){.begun = false};
  poll->walked = sync_book_mark(&client->book);
  poll->stage = SYNC_POLL_ORDERS;
  sync_comparison_begin(client);
  client->loop->snapshots++;
  client->loop->arrivals++; /* a step that waits must come back to it */
}
