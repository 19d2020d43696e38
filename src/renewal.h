/*
 * renewal.h - a new stream before the old one is closed. Part of the connection's machine: no socket, no clock.
 *
 * Two reasons: the credentials in use expire, or the first url has failed and it is time to see whether it is back. The
 * successor asks for what comes behind the last event of the stream and is not read from until it takes over. With ids
 * that is at once: what was in flight on the stream comes again, and what came twice is dropped. Without ids the stream
 * is read a little longer, for what was on its way when the server began to send to both.
 */
#ifndef SYNC_RENEWAL_H
#define SYNC_RENEWAL_H

#include "connection.h"

/* The stream is open: sets the time of the next renewal, if there is a reason for one. */
void sync_renewal_plan(struct sync_connection *connection, int64_t now_ms);

/* The stream is over, or unwanted: so is its successor. */
void sync_renewal_cancel(struct sync_connection *connection, struct sync_actions *actions);

/* As for the connection, about the successor. */
void sync_renewal_answered(struct sync_connection *connection, int64_t now_ms, int64_t ttl_ms,
                           struct sync_actions *actions);
void sync_renewal_opened(struct sync_connection *connection, int64_t now_ms);
void sync_renewal_ended(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                        int64_t retry_after_ms, struct sync_actions *actions);
void sync_renewal_tick(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* The successor becomes the stream. */
void sync_renewal_replace(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

#endif
