/*
 * json.c - the pull reader of JSON text. The grammar stands here once, in step(): always inlined, so that the compiler
 * makes of it a reader that gives tokens (sync_json_next) and one that only checks (sync_json_valid, sync_json_skip),
 * the latter with its state in registers.
 *
 * No recursion: the open containers are a shift register of bits. No byte beyond the last is read.
 */
#include "json.h"

#include <string.h>

#if defined(__SSE2__) && !defined(SYNC_JSON_PORTABLE)
#define USE_SSE2
#include <emmintrin.h>
#endif

/* Plain `inline` is a hint; here it is the design. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE  static __attribute__((noinline))

/* What peek() gives when there are no more bytes: not a byte. */
#define NO_BYTE (-1)

/* What may come next: sync_json.expect. The two MORE stand in the order of the bit in sync_json.nest. */
enum expect {
  EXPECT_VALUE,         /* at the top, and behind a colon */
  EXPECT_FIRST_ELEMENT, /* behind '[' */
  EXPECT_FIRST_MEMBER,  /* behind '{' */
  EXPECT_MORE_ELEMENTS, /* behind a value in an array */
  EXPECT_MORE_MEMBERS,  /* behind a value in an object */
  EXPECT_END,           /* behind the value at the top */
};

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Behind the white space at `at`. Apart from peek(), because on the wire there is hardly any. */
NEVER_INLINE const char *space_end(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

/* The next byte that is not white space, left where it is, or NO_BYTE. */
ALWAYS_INLINE int peek(sync_json *json) {
  if (json->at == json->end) return NO_BYTE;
  if ((unsigned char)*json->at > ' ') return (unsigned char)*json->at;
  json->at = space_end(json->at, json->end);
  return json->at == json->end ? NO_BYTE : (unsigned char)*json->at;
}

/* Steps over `byte` if it is here. */
ALWAYS_INLINE bool take(sync_json *json, char byte) {
  if (json->at == json->end || *json->at != byte) return false;
  json->at++;
  return true;
}

/* Steps over white space, and over `mark` if it is behind it. */
ALWAYS_INLINE bool take_mark(sync_json *json, char mark) {
  return take(json, mark) || (peek(json) == mark && take(json, mark));
}

ALWAYS_INLINE bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_hex(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* Does plain text in a string end at this byte? */
ALWAYS_INLINE bool is_special(char byte) {
  return byte == '"' || byte == '\\' || (unsigned char)byte < ' ';
}

/* Skips plain text of a string, a block at a time: gives its end, or a place from which to look byte by byte. */
#ifdef USE_SSE2

/* The quote has a mask of its own, because the next token waits for its place: the shorter the way from the load to
 * there, the faster the reader. Whether something else comes before it is worked out beside that way. */
ALWAYS_INLINE const char *skip_plain(const char *at, const char *end) {
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(' ' - 1);
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
    __m128i is_other = _mm_or_si128(is_control, _mm_cmpeq_epi8(bytes, backslash));
    unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quote));
    unsigned others = (unsigned)_mm_movemask_epi8(is_other);
    if (others & (quotes - 1)) return at + __builtin_ctz(others); /* one before the first quote, or with none */
    if (quotes) return at + __builtin_ctz(quotes);
  }
  return at;
}

#else

/* Eight bytes in a plain register. (x - n) & ~x, bytewise, has a high bit where a byte of x is below n; a borrow may
 * set more of them, but not in an x without such a byte. So it tells whether, not where, in any byte order. */
ALWAYS_INLINE const char *skip_plain(const char *at, const char *end) {
  const uint64_t ones = UINT64_MAX / 255; /* 0x0101... */
  for (; end - at >= 8; at += 8) {
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    uint64_t quote = bytes ^ (ones * '"'), backslash = bytes ^ (ones * '\\');
    uint64_t found = ((bytes - ones * ' ') & ~bytes) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
    if (found & (ones * 0x80)) break;
  }
  return at;
}

#endif

/* ---- scalars: json->at moves behind what is read, or, on false, to the wrong byte -------------------------------- */

/* The end of the escape sequence whose backslash is at `at`, or its wrong byte. Apart, for it is rare; and given no
 * pointer to the reader, which could not live in registers then. */
NEVER_INLINE const char *escape_end(const char *at, const char *end, bool *whole) {
  *whole = false;
  if (++at == end || *at == '\0' || !strchr("\"\\/bfnrtu", *at)) return at;
  if (*at++ == 'u')
    for (int digits = 0; digits < 4; digits++, at++)
      if (at == end || !is_hex(*at)) return at;
  *whole = true;
  return at;
}

/* A string, from its opening quote. */
ALWAYS_INLINE bool read_string(sync_json *json, bool *escaped) {
  *escaped = false;
  json->at++;
  for (;;) {
    json->at = skip_plain(json->at, json->end);
    while (json->at < json->end && !is_special(*json->at)) json->at++;
    if (take(json, '"')) return true;
    if (json->at == json->end || *json->at != '\\') return false;
    bool whole;
    json->at = escape_end(json->at, json->end, &whole);
    if (!whole) return false;
    *escaped = true;
  }
}

/* One digit or more. */
ALWAYS_INLINE bool read_digits(sync_json *json) {
  const char *first = json->at;
  while (json->at < json->end && is_digit(*json->at)) json->at++;
  return json->at > first;
}

ALWAYS_INLINE bool read_number(sync_json *json) {
  take(json, '-');
  if (!take(json, '0') && !read_digits(json)) return false;
  if (take(json, '.') && !read_digits(json)) return false;
  if (!take(json, 'e') && !take(json, 'E')) return true;
  if (!take(json, '+')) take(json, '-');
  return read_digits(json);
}

ALWAYS_INLINE bool read_word(sync_json *json, const char *word) {
  while (*word && take(json, *word)) word++;
  return !*word;
}

/* ---- the grammar ------------------------------------------------------------------------------------------------- */

/* Ends the text at the wrong byte, so that every later step fails there too. */
ALWAYS_INLINE sync_json_kind refuse(sync_json *json) {
  json->end = json->at;
  json->expect = EXPECT_VALUE;
  return SYNC_JSON_INVALID;
}

/* A value is complete: what may follow? */
ALWAYS_INLINE void expect_more(sync_json *json) {
  json->expect = json->depth == 0 ? EXPECT_END : EXPECT_MORE_ELEMENTS + (unsigned)(json->nest[0] & 1);
}

ALWAYS_INLINE sync_json_kind open_container(sync_json *json, bool object) {
  if (json->depth == SYNC_JSON_DEPTH_MAX) return refuse(json);
  json->nest[1] = json->nest[1] << 1 | json->nest[0] >> 63;
  json->nest[0] = json->nest[0] << 1 | object;
  json->depth++;
  json->at++;
  json->expect = EXPECT_FIRST_ELEMENT + object;
  return object ? SYNC_JSON_OBJECT : SYNC_JSON_ARRAY;
}

ALWAYS_INLINE sync_json_kind close_container(sync_json *json, bool object) {
  if (!take_mark(json, object ? '}' : ']')) return refuse(json);
  json->nest[0] = json->nest[0] >> 1 | json->nest[1] << 63;
  json->nest[1] >>= 1;
  json->depth--;
  expect_more(json);
  return object ? SYNC_JSON_OBJECT_END : SYNC_JSON_ARRAY_END;
}

/* Tells where the token stands; `token` is NULL where none is wanted. */
ALWAYS_INLINE void tell(sync_json_token *token, const char *begin, const char *end, bool escaped) {
  if (!token) return;
  token->escaped = escaped;
  token->text = (sync_span){begin, (size_t)(end - begin)};
}

/* A key and the colon behind it. */
ALWAYS_INLINE bool read_key(sync_json *json, sync_json_token *token) {
  bool escaped;
  if (peek(json) != '"') return false;
  const char *first = json->at;
  if (!read_string(json, &escaped)) return false;
  tell(token, first + 1, json->at - 1, escaped);
  json->expect = EXPECT_VALUE;
  return take_mark(json, ':');
}

/* A scalar, or the bracket that opens a container. */
ALWAYS_INLINE sync_json_kind read_value(sync_json *json, sync_json_token *token) {
  sync_json_kind kind = SYNC_JSON_NUMBER;
  bool escaped = false, whole;
  int byte = peek(json);
  const char *first = json->at;
  switch (byte) {
  case '{': tell(token, first, first + 1, false); return open_container(json, true);
  case '[': tell(token, first, first + 1, false); return open_container(json, false);
  case '"': kind = SYNC_JSON_STRING, whole = read_string(json, &escaped); break;
  case 't': kind = SYNC_JSON_TRUE, whole = read_word(json, "true"); break;
  case 'f': kind = SYNC_JSON_FALSE, whole = read_word(json, "false"); break;
  case 'n': kind = SYNC_JSON_NULL, whole = read_word(json, "null"); break;
  default: whole = read_number(json); /* or nothing that begins a value: then no digit is here */
  }
  if (!whole) return refuse(json);
  size_t quote = kind == SYNC_JSON_STRING;
  tell(token, first + quote, json->at - quote, escaped);
  expect_more(json);
  return kind;
}

/* The grammar of RFC 8259, a token a step; a comma goes with what is behind it, a colon with its key. Where no token is
 * wanted, a key goes with its value: that is a step less. */
ALWAYS_INLINE sync_json_kind step(sync_json *json, sync_json_token *token) {
  bool member = false;
  switch (json->expect) {
  case EXPECT_FIRST_MEMBER:
    if (peek(json) == '}') return close_container(json, true);
    member = true;
    break;
  case EXPECT_MORE_MEMBERS:
    if (!take_mark(json, ',')) return close_container(json, true);
    member = true;
    break;
  case EXPECT_FIRST_ELEMENT:
    if (peek(json) == ']') return close_container(json, false);
    break;
  case EXPECT_MORE_ELEMENTS:
    if (!take_mark(json, ',')) return close_container(json, false);
    break;
  case EXPECT_END: return peek(json) == NO_BYTE ? SYNC_JSON_END : refuse(json);
  }
  if (member && !read_key(json, token)) return refuse(json);
  if (member && token) return SYNC_JSON_KEY;
  return read_value(json, token);
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

/* Reads to the end of the innermost open container, or of the text if none is open. */
ALWAYS_INLINE bool read_rest(sync_json *json) {
  const unsigned depth = json->depth;
  sync_json_kind kind;
  do {
    kind = step(json, NULL);
    if (kind == SYNC_JSON_INVALID) return false;
  } while (json->depth >= depth && kind != SYNC_JSON_END);
  return true;
}

void sync_json_init(sync_json *json, sync_span text) {
  const char *begin = text.length ? text.bytes : ""; /* no arithmetic on NULL */
  *json = (sync_json){.begin = begin, .at = begin, .end = begin + text.length, .expect = EXPECT_VALUE};
}

sync_json_kind sync_json_next(sync_json *json, sync_json_token *token) {
  *token = (sync_json_token){.kind = SYNC_JSON_INVALID};
  return token->kind = step(json, token);
}

size_t sync_json_offset(const sync_json *json) {
  return (size_t)(json->at - json->begin);
}

bool sync_json_valid(sync_span text, size_t *at_byte) {
  sync_json json;
  sync_json_init(&json, text);
  bool valid = read_rest(&json);
  if (!valid && at_byte) *at_byte = sync_json_offset(&json);
  return valid;
}

bool sync_json_skip(sync_json *json) {
  sync_json reader = *json; /* nobody else sees the copy: it can live in registers */
  bool valid = read_rest(&reader);
  *json = reader;
  return valid;
}

/* ---- escapes ----------------------------------------------------------------------------------------------------- */

/* The value of four hexadecimal digits. */
static unsigned hex_value(const char *at) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++)
    value = value << 4 | (unsigned)(is_digit(at[i]) ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
  return value;
}

/* The code point of the \uXXXX at `*at`, or of two that are a surrogate pair; moves `*at` behind. */
static unsigned read_code_point(const char **at, const char *end) {
  unsigned unit = hex_value(*at + 2);
  *at += 6;
  if (unit < 0xD800 || unit > 0xDFFF) return unit;
  if (unit > 0xDBFF || end - *at < 6 || (*at)[1] != 'u' || (*at)[0] != '\\') return 0xFFFD;
  unsigned low = hex_value(*at + 2);
  if (low < 0xDC00 || low > 0xDFFF) return 0xFFFD;
  *at += 6;
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* Writes a code point as UTF-8; gives what is behind it. */
static char *put_utf8(char *out, unsigned point) {
  static const unsigned char lead[] = {0x00, 0xC0, 0xE0, 0xF0};
  unsigned more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  *out++ = (char)(lead[more] | point >> (6 * more));
  while (more-- > 0) *out++ = (char)(0x80 | (point >> (6 * more) & 0x3F));
  return out;
}

size_t sync_json_unescape(sync_span escaped, char *out) {
  static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
  const char *at = escaped.bytes, *end = at + escaped.length;
  char *put = out;
  while (at < end) {
    if (*at != '\\') {
      *put++ = *at++;
    } else if (at[1] == 'u') {
      put = put_utf8(put, read_code_point(&at, end));
    } else {
      const char *letter = strchr(letters, at[1]);
      *put++ = letter ? controls[letter - letters] : at[1];
      at += 2;
    }
  }
  return (size_t)(put - out);
}

bool sync_json_value(sync_json *json, const sync_json_token *token, sync_span *text) {
  bool container = token->kind == SYNC_JSON_OBJECT || token->kind == SYNC_JSON_ARRAY;
  if (token->kind == SYNC_JSON_INVALID || (container && !sync_json_skip(json))) return false;
  const char *start = token->text.bytes - (token->kind == SYNC_JSON_STRING);
  *text = (sync_span){start, (size_t)(json->at - start)};
  return true;
}
