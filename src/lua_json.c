/* lua_json.c - JSON text straight to Lua values. */
#include "lua_json.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

/* How large the table under a key was last time: orders look alike, and a table made in its size is not made twice. A
 * wrong guess costs a little memory or a rehash; nothing depends on it. */
#define GUESSES    256u
#define GUESS_MOST 255u

struct decoder {
  lua_State *L;
  sync_json json;
  uint8_t *guesses;
};

static bool push_value(struct decoder *decoder, const sync_json_token *token, unsigned guess);

static unsigned guess_of(sync_span key) {
  if (key.length == 0) return 0;
  unsigned char first = (unsigned char)key.bytes[0], last = (unsigned char)key.bytes[key.length - 1];
  return (first * 31u + last * 7u + (unsigned)key.length) % GUESSES;
}

static void learn(struct decoder *decoder, unsigned guess, size_t count) {
  decoder->guesses[guess] = (uint8_t)(count < GUESS_MOST ? count : GUESS_MOST);
}

/* ---- scalars ----------------------------------------------------------------------------------------------------- */

/* Not inside lua_Buffer's reach: the text is unescaped into a userdata, which the collector owns if Lua raises. */
static void push_escaped(lua_State *L, sync_span text) {
  char *out = lua_newuserdata(L, text.length);
  size_t length = sync_json_unescape(text, out);
  lua_pushlstring(L, out, length);
  lua_remove(L, -2);
}

static void push_string(lua_State *L, const sync_json_token *token) {
  if (token->escaped)
    push_escaped(L, token->text);
  else
    compat_push_span(L, token->text);
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

static bool push_object(struct decoder *decoder, unsigned guess) {
  sync_json_token token;
  size_t count = 0;
  lua_createtable(decoder->L, 0, decoder->guesses[guess]);
  while (sync_json_next(&decoder->json, &token) == SYNC_JSON_KEY) {
    unsigned below = guess_of(token.text);
    push_string(decoder->L, &token);
    sync_json_next(&decoder->json, &token);
    if (!push_value(decoder, &token, below)) return false;
    lua_rawset(decoder->L, -3);
    count++;
  }
  learn(decoder, guess, count);
  return token.kind == SYNC_JSON_OBJECT_END;
}

/* The elements of an array are guessed apart from the array itself. */
static bool push_array(struct decoder *decoder, unsigned guess) {
  sync_json_token token;
  int count = 0;
  lua_createtable(decoder->L, decoder->guesses[guess], 0);
  while (sync_json_next(&decoder->json, &token) != SYNC_JSON_ARRAY_END) {
    if (!push_value(decoder, &token, (guess + 1) % GUESSES)) return false;
    lua_rawseti(decoder->L, -2, ++count);
  }
  learn(decoder, guess, (size_t)count);
  return true;
}

static bool push_value(struct decoder *decoder, const sync_json_token *token, unsigned guess) {
  lua_State *L = decoder->L;
  switch (token->kind) {
  case SYNC_JSON_OBJECT: luaL_checkstack(L, 8, "JSON"); return push_object(decoder, guess);
  case SYNC_JSON_ARRAY: luaL_checkstack(L, 8, "JSON"); return push_array(decoder, guess);
  case SYNC_JSON_STRING: push_string(L, token); return true;
  case SYNC_JSON_NUMBER: push_number(L, token->text); return true;
  case SYNC_JSON_TRUE: lua_pushboolean(L, 1); return true;
  case SYNC_JSON_FALSE: lua_pushboolean(L, 0); return true;
  case SYNC_JSON_NULL: lua_pushlightuserdata(L, NULL); return true;
  default: return false;
  }
}

bool lua_json_push(lua_State *L, sync_span text) {
  static __thread uint8_t guesses[GUESSES]; /* several threads, each with its states */
  struct decoder decoder = {.L = L, .guesses = guesses};
  sync_json_token token;
  int top = lua_gettop(L);
  sync_json_init(&decoder.json, text);
  sync_json_next(&decoder.json, &token);
  if (push_value(&decoder, &token, 0) && sync_json_next(&decoder.json, &token) == SYNC_JSON_END) return true;
  lua_settop(L, top);
  return false;
}
