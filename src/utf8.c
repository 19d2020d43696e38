/* utf8.c - well-formed or not, by table 3-7 of the Unicode standard; ASCII is skipped in words. */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

static const sync_span REPLACEMENT = {"\xEF\xBF\xBD", 3};

#define HIGH_BITS 0x8080808080808080u

static uint64_t load_word(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* The first byte that may not be ASCII, at most a few ASCII bytes early. */
static const char *skip_ascii(const char *at, const char *end) {
  while (end - at >= 32) {
    uint64_t bits = load_word(at) | load_word(at + 8) | load_word(at + 16) | load_word(at + 24);
    if (bits & HIGH_BITS) break;
    at += 32;
  }
  while (end - at >= 8 && !(load_word(at) & HIGH_BITS)) at += 8;
  while (at < end && !(*at & 0x80)) at++;
  return at;
}

/* How many bytes follow a lead byte (0: it cannot lead), and the range of the first of them: it rules out overlong
 * forms, surrogates and what lies beyond U+10FFFF. */
static int follow_count(unsigned char lead, unsigned char *low, unsigned char *high) {
  *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
}

/* The end of the non-ASCII sequence at `at`; when it is not well-formed, the end of its maximal subpart. */
static const char *sequence_end(const char *at, const char *end, bool *valid) {
  unsigned char low, high;
  int follow = follow_count((unsigned char)*at++, &low, &high);
  *valid = false;
  if (follow == 0) return at;
  for (; follow > 0; follow--, at++) {
    if (at == end || (unsigned char)*at < low || (unsigned char)*at > high) return at;
    low = 0x80;
    high = 0xBF;
  }
  *valid = true;
  return at;
}

/* The first sequence that is not well-formed, or `end`. */
static const char *skip_valid(const char *at, const char *end) {
  for (;;) {
    at = skip_ascii(at, end);
    if (at == end) return end;
    bool valid;
    const char *next = sequence_end(at, end, &valid);
    if (!valid) return at;
    at = next;
  }
}

bool sync_utf8_valid(sync_span text) {
  const char *end = text.bytes + text.length;
  return skip_valid(text.bytes, end) == end;
}

bool sync_utf8_append(struct sync_buffer *out, sync_span text) {
  const char *at = text.bytes;
  const char *end = at + text.length;
  for (;;) {
    const char *wrong = skip_valid(at, end);
    if (!sync_buffer_append(out, (sync_span){at, (size_t)(wrong - at)})) return false;
    if (wrong == end) return true;
    bool valid;
    at = sequence_end(wrong, end, &valid);
    if (!sync_buffer_append(out, REPLACEMENT)) return false;
  }
}
