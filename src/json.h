/*
 * json.h - a pull reader of JSON text (RFC 8259): tokens out of bytes, no tree, no allocation.
 *
 * Strict: it accepts exactly the grammar of RFC 8259 (any value at the top), at most SYNC_JSON_DEPTH_MAX levels deep.
 * A number stays text, so that whoever wants an exact integer can have it. cJSON is the oracle in the fuzzer and the
 * yardstick in the bench; docs/decisions.md has the figures that made this a reader of our own.
 *
 * The reader itself, sync_json, is public: see sync.h.
 *
 * The text is UTF-8 that the event stream parser has already made valid; bytes >= 0x80 are not looked at again.
 */
#ifndef SYNC_JSON_H
#define SYNC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync.h"

/* The whole of `text` is one JSON value? On false `*at_byte` (may be NULL) is the offset of the first byte that is
 * wrong (text.length: it ended too early). The fast path: no tokens are made. */
bool sync_json_valid(sync_span text, size_t *at_byte);

/* The text of the value that `token` begins, as it is written, quotes and brackets included; the reader then stands
 * behind it. false: it is broken. */
bool sync_json_value(sync_json *json, const sync_json_token *token, sync_span *text);

#endif
