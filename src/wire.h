/*
 * wire.h - events as the server would have written them, for news that polling brings. The other direction of event.h.
 */
#ifndef SYNC_WIRE_H
#define SYNC_WIRE_H

#include "event.h"

/* Appends a JSON string of `text`, which is valid UTF-8. false: no memory, as below, and `out` may have a part of it.
 */
bool sync_wire_string(struct sync_buffer *out, sync_span text);

/* Appends the JSON of an event under this wire's names. `order_id` empty: it has none; `data` is JSON; `at_ms` since
 * the epoch. */
bool sync_wire_event(struct sync_buffer *out, const struct sync_event_names *names, sync_span type, sync_span order_id,
                     int64_t at_ms, sync_span data);

#endif
