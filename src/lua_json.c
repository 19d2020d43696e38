/* lua_json.c - JSON text straight to Lua values. */
#include "lua_json.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A power of two: the place of a word in the memory is a few bits of its hash. */
#define WORDS 256u

/* Longer texts are rarely said twice. */
#define WORD_BYTES_MAX 22u

#define ROOM_MOST 255u

/* A key or a value that was seen before, and how large the table under that key was last time: then the next one can be
 * made in its size. A wrong guess costs a little memory or a rehash; nothing depends on it. */
struct word {
  uint8_t length_plus_one; /* 0: nobody yet */
  uint8_t room;
  char bytes[WORD_BYTES_MAX];
};

struct memory {
  struct word words[WORDS];
};

struct decoder {
  lua_State *L;
  sync_json json;
  struct memory *memory;
  int strings; /* index of the table with the words as Lua strings: a known one costs no hashing of its bytes */
};

static bool push_value(struct decoder *decoder, const sync_json_token *token, unsigned place);

void lua_json_push_memory(lua_State *L) {
  struct memory *memory = lua_newuserdata(L, sizeof *memory);
  memset(memory, 0, sizeof *memory);
  lua_createtable(L, WORDS, 0);
}

/* Where a word belongs: from its length and its first and last bytes. */
static unsigned place_of(sync_span text) {
  if (text.length == 0) return 0;
  unsigned char first = (unsigned char)text.bytes[0], last = (unsigned char)text.bytes[text.length - 1];
  unsigned char middle = (unsigned char)text.bytes[text.length / 2];
  return (first * 31u + middle * 17u + last * 7u + (unsigned)text.length) % WORDS;
}

static void learn_room(struct decoder *decoder, unsigned place, size_t count) {
  decoder->memory->words[place].room = (uint8_t)(count < ROOM_MOST ? count : ROOM_MOST);
}

/* Pushes a short text; the next time it costs a comparison. */
static void push_word(struct decoder *decoder, sync_span text, unsigned place) {
  struct word *word = &decoder->memory->words[place];
  if (word->length_plus_one == text.length + 1 && memcmp(word->bytes, text.bytes, text.length) == 0) {
    lua_rawgeti(decoder->L, decoder->strings, (int)place + 1);
    return;
  }
  compat_push_span(decoder->L, text);
  if (text.length == 0 || text.length > WORD_BYTES_MAX) return;
  lua_pushvalue(decoder->L, -1);
  lua_rawseti(decoder->L, decoder->strings, (int)place + 1);
  word->length_plus_one = (uint8_t)(text.length + 1);
  memcpy(word->bytes, text.bytes, text.length);
}

/* ---- scalars ----------------------------------------------------------------------------------------------------- */

/* Not inside lua_Buffer's reach: the text is unescaped into a userdata, which the collector owns if Lua raises. */
static void push_escaped(lua_State *L, sync_span text) {
  char *out = lua_newuserdata(L, text.length);
  size_t length = sync_json_unescape(text, out);
  lua_pushlstring(L, out, length);
  lua_remove(L, -2);
}

void lua_json_push_string(lua_State *L, const sync_json_token *token) {
  if (token->escaped)
    push_escaped(L, token->text);
  else
    compat_push_span(L, token->text);
}

static void push_string(struct decoder *decoder, const sync_json_token *token, unsigned place) {
  if (token->escaped)
    push_escaped(decoder->L, token->text);
  else
    push_word(decoder, token->text, place);
}

/* Digits to an exact integer; false: it does not fit. */
static bool read_integer(sync_span text, int64_t *value) {
  bool negative = text.bytes[0] == '-';
  uint64_t magnitude = 0, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
  for (size_t i = negative; i < text.length; i++) {
    uint64_t digit = (uint64_t)(text.bytes[i] - '0');
    if (magnitude > (most - digit) / 10) return false;
    magnitude = magnitude * 10 + digit;
  }
  *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}

static bool is_integer(sync_span text) {
  for (size_t i = 0; i < text.length; i++)
    if (text.bytes[i] == '.' || text.bytes[i] == 'e' || text.bytes[i] == 'E') return false;
  return true;
}

static bool fits(int64_t value) {
#if LUA_VERSION_NUM >= 503
  return (lua_Integer)value == value;
#else
  return value <= COMPAT_EXACT_MAX && value >= -COMPAT_EXACT_MAX;
#endif
}

/* Up to here a double holds the digits and the power of ten exactly, so that one division rounds right. */
#define EXACT_POWER 22
static const double powers_of_ten[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A short decimal such as 12.50; false: not one. */
static bool read_decimal(sync_span text, double *value) {
  bool negative = text.bytes[0] == '-';
  int64_t digits = 0;
  size_t point = text.length;
  for (size_t i = negative; i < text.length; i++) {
    char byte = text.bytes[i];
    if (byte == '.')
      point = i + 1;
    else if (byte < '0' || byte > '9' || digits > COMPAT_EXACT_MAX / 10 - 1)
      return false;
    else
      digits = digits * 10 + (byte - '0');
  }
  if (text.length - point > EXACT_POWER) return false;
  *value = (double)(negative ? -digits : digits) / powers_of_ten[text.length - point];
  return negative ? digits != 0 : true; /* -0.0 is for the other way */
}

static locale_t c_locale;

static void make_c_locale(void) {
  c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The general way, whatever decimal point the host's locale has. */
static double read_double(const char *digits) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_c_locale);
  return c_locale ? strtod_l(digits, NULL, c_locale) : strtod(digits, NULL);
}

static void push_fraction(lua_State *L, sync_span text) {
  double value;
  if (!read_decimal(text, &value)) {
    lua_pushlstring(L, text.bytes, text.length); /* it needs an end, which a span has not */
    value = read_double(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pushnumber(L, (lua_Number)value);
}

static void push_number(lua_State *L, sync_span text) {
  int64_t value;
  if (!is_integer(text))
    push_fraction(L, text);
  else if (read_integer(text, &value) && fits(value))
    compat_push_integer(L, value);
  else
    lua_pushlstring(L, text.bytes, text.length);
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

static bool push_object(struct decoder *decoder, unsigned place) {
  sync_json_token token;
  size_t count = 0;
  lua_createtable(decoder->L, 0, decoder->memory->words[place].room);
  while (sync_json_next(&decoder->json, &token) == SYNC_JSON_KEY) {
    unsigned below = place_of(token.text);
    push_string(decoder, &token, below);
    sync_json_next(&decoder->json, &token);
    if (!push_value(decoder, &token, below)) return false;
    lua_rawset(decoder->L, -3);
    count++;
  }
  learn_room(decoder, place, count);
  return token.kind == SYNC_JSON_OBJECT_END;
}

/* The room of an array is remembered at its key, that of its elements beside it. */
static bool push_array(struct decoder *decoder, unsigned place) {
  sync_json_token token;
  int count = 0;
  lua_createtable(decoder->L, decoder->memory->words[place].room, 0);
  while (sync_json_next(&decoder->json, &token) != SYNC_JSON_ARRAY_END) {
    if (!push_value(decoder, &token, (place + 1) % WORDS)) return false;
    lua_rawseti(decoder->L, -2, ++count);
  }
  learn_room(decoder, place, (size_t)count);
  return true;
}

/* A value, and the place in the memory that its key has. */
static bool push_value(struct decoder *decoder, const sync_json_token *token, unsigned place) {
  lua_State *L = decoder->L;
  switch (token->kind) {
  case SYNC_JSON_OBJECT: luaL_checkstack(L, 8, "JSON"); return push_object(decoder, place);
  case SYNC_JSON_ARRAY: luaL_checkstack(L, 8, "JSON"); return push_array(decoder, place);
  case SYNC_JSON_STRING: push_string(decoder, token, place_of(token->text)); return true;
  case SYNC_JSON_NUMBER: push_number(L, token->text); return true;
  case SYNC_JSON_TRUE: lua_pushboolean(L, 1); return true;
  case SYNC_JSON_FALSE: lua_pushboolean(L, 0); return true;
  case SYNC_JSON_NULL: lua_pushlightuserdata(L, NULL); return true;
  default: return false;
  }
}

bool lua_json_push(lua_State *L, sync_span text, int memory) {
  struct decoder decoder = {.L = L, .memory = lua_touserdata(L, memory)};
  decoder.strings = memory > 0 ? memory + 1 : memory - 1; /* pseudo-indices of upvalues go down */
  sync_json_token token;
  int top = lua_gettop(L);
  sync_json_init(&decoder.json, text);
  sync_json_next(&decoder.json, &token);
  if (push_value(&decoder, &token, 0) && sync_json_next(&decoder.json, &token) == SYNC_JSON_END) return true;
  lua_settop(L, top);
  return false;
}
