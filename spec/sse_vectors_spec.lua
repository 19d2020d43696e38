-- The event stream parser against byte-exact vectors: spec/fixtures/sse-vectors.jsonl, through build/sse-replay.
--
-- A vector with `"split":"all"` is also fed as one chunk, byte by byte, in pairs, and cut in two at every position.
-- What a vector expects: `events`, `retry` (ms in force at the end) and `last_event_id`; `data_b64` and `type_b64`
-- stand where the bytes are no text.

local cjson = require "cjson"

local REPLAY = os.getenv("SSE_REPLAY") or "build/sse-replay"
local VECTORS = "spec/fixtures/sse-vectors.jsonl"
local RETRY_MAX_MS = 86400000 -- SYNC_SSE_RETRY_MAX_MS

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

---@param bytes string
---@return string text padded base64 (RFC 4648)
local function encode_base64(bytes)
  local text = bytes:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    local digits = {}
    for i = 4, 1, -1 do
      local digit = bits % 64
      digits[i] = ALPHABET:sub(digit + 1, digit + 1)
      bits = (bits - digit) / 64
    end
    return table.concat(digits, "", 1, #group + 1) .. ("="):rep(3 - #group)
  end)
  return text
end

---@param text string padded base64
---@return string bytes
local function decode_base64(text)
  local bytes = text:gsub("=", ""):gsub("...?.?", function(group)
    local bits = 0
    for i = 1, 4 do
      bits = bits * 64 + (i <= #group and ALPHABET:find(group:sub(i, i), 1, true) - 1 or 0)
    end
    local low = bits % 256
    local middle = (bits - low) / 256 % 256
    local high = (bits - middle * 256 - low) / 65536
    return string.char(high, middle, low):sub(1, #group - 1)
  end)
  return bytes
end

---@param path string
---@return table[] vectors
local function read_vectors(path)
  local vectors = {}
  for line in io.lines(path) do
    vectors[#vectors + 1] = cjson.decode(line)
  end
  return vectors
end

---@param lines string[] what the program is asked
---@return string[] answers
local function replay(lines)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
  assert(file:close())
  local answers = {}
  local program = assert(io.popen(("%s < %s"):format(REPLAY, path)))
  for line in program:lines() do
    answers[#answers + 1] = line
  end
  program:close()
  assert(os.remove(path))
  return answers
end

---@param bytes string
---@param size integer
---@return string[] chunks of `size` bytes, the last one of what is left
local function cut_by(bytes, size)
  local chunks = {}
  for first = 1, #bytes, size do
    chunks[#chunks + 1] = bytes:sub(first, first + size - 1)
  end
  return chunks
end

-- The same chunks with an empty one before, between and behind them.
local function with_empty_chunks(chunks)
  local more = { "" }
  for _, chunk in ipairs(chunks) do
    more[#more + 1] = chunk
    more[#more + 1] = ""
  end
  return more
end

---@param vector table
---@return string[][] splits each a list of chunks
local function splits_of(vector)
  local chunks = {}
  for i, chunk in ipairs(vector.chunks) do
    chunks[i] = decode_base64(chunk)
  end
  local splits = { chunks }
  if vector.split ~= "all" then return splits end
  local bytes = table.concat(chunks)
  splits[#splits + 1] = { bytes }
  splits[#splits + 1] = cut_by(bytes, 1)
  splits[#splits + 1] = cut_by(bytes, 2)
  for i = 1, #bytes - 1 do
    splits[#splits + 1] = { bytes:sub(1, i), bytes:sub(i + 1) }
  end
  return splits
end

---@param vector table
---@param chunks string[]
---@return string question a line for the program
local function question_of(vector, chunks)
  local encoded = {}
  for i, chunk in ipairs(chunks) do
    encoded[i] = encode_base64(chunk)
  end
  return cjson.encode { chunks = encoded, seed = vector.initial_last_event_id or "" }
end

---@param vector table
---@return table answer as the program must give it
local function expectation_of(vector)
  local events = {}
  for i, event in ipairs(vector.events) do
    local type = event.type_b64 and decode_base64(event.type_b64) or event.type
    local data = event.data_b64 and decode_base64(event.data_b64) or event.data
    events[i] = { type, data, event.id }
  end
  local retry = vector.retry
  if vector.retry_clamp_ok then retry = math.min(retry, RETRY_MAX_MS) end
  return { events = events, retry = retry, last = vector.last_event_id }
end

describe("event stream vectors", function()
  local vectors = read_vectors(VECTORS)

  it("are all there", function()
    assert.is_true(#vectors >= 160)
  end)

  for _, vector in ipairs(vectors) do
    it(("%s (%s)"):format(vector.id, vector.behaviour), function()
      local splits, questions = splits_of(vector), {}
      for i, chunks in ipairs(splits) do
        questions[i] = question_of(vector, chunks)
      end
      local answers = replay(questions)
      local expectation = expectation_of(vector)
      assert.are.equal(#questions, #answers)
      for i, answer in ipairs(answers) do
        assert.are.same(expectation, cjson.decode(answer), "split " .. i .. ": " .. questions[i]:sub(1, 1000))
      end
    end)
  end

  it("mean the same with empty chunks in between (P23)", function()
    local questions = {}
    for i, vector in ipairs(vectors) do
      local splits = splits_of(vector)
      questions[i] = question_of(vector, with_empty_chunks(splits[3] or splits[1])) -- byte by byte where it may be cut
    end
    local answers = replay(questions)
    assert.are.equal(#vectors, #answers)
    for i, vector in ipairs(vectors) do assert.are.same(expectation_of(vector), cjson.decode(answers[i]), vector.id) end
  end)
end)

describe("sse-replay", function()
  local function error_of(question)
    return cjson.decode(replay({ question })[1]).error
  end

  it("says what is wrong with a question and answers the next", function()
    local answers = replay { "not JSON", '{"chunks":["ZGF0YTphCgo="]}' }
    assert.is_string(cjson.decode(answers[1]).error)
    assert.are.same({ { "message", "a", "" } }, cjson.decode(answers[2]).events)
  end)

  it("refuses what is no question", function()
    assert.matches("chunks", error_of "{}")
    assert.matches("chunks", error_of '{"chunks":[1]}')
    assert.matches("seed", error_of '{"chunks":[],"seed":1}')
    assert.matches("base64", error_of '{"chunks":["Z"]}')
    assert.matches("base64", error_of '{"chunks":["Zg==Zg=="]}')
    assert.matches("base64", error_of '{"chunks":["Z*=="]}')
  end)
end)
