--- HTTP as the service's callbacks and the harness have it: the reader of messages, and the caller over real sockets.

local caller = require "spec.contract.caller"
local listener = require "spec.support.listener"
local message = require "spec.contract.message"
local uv = require "luv"

local function read_all(kind, ...)
  local reader, messages = message.reader(kind), {}
  for _, bytes in ipairs { ... } do
    reader:feed(bytes)
    local found, problem = reader:next()
    while found do
      messages[#messages + 1] = found
      found, problem = reader:next()
    end
    if problem then return nil, problem end
  end
  return messages, reader
end

describe("the reader of messages", function()
  local BYTES = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
    .. "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: 1\r\nx:2\r\n\r\n"
    .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
    .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"

  it("gives the same responses for every split of the bytes", function()
    for cut = 1, #BYTES - 1 do
      local messages, reader = read_all("response", BYTES:sub(1, cut), BYTES:sub(cut + 1))
      local seen = {}
      for index, each in ipairs(messages) do seen[index] = { each.status, each.body, each.keep_alive } end
      assert.same({ { 202, "ok", true }, { 204, "", true }, { 200, "abcde", true }, { 200, "", false } }, seen)
      assert.equal("1, 2", messages[2].headers.x)
      assert.is_false(reader:has_begun())
    end
  end)

  it("reads requests, with a body and without", function()
    local messages = read_all("request",
      "POST /a?b=c HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", "cDELETE /a HTTP/1.0\r\n\r\n")
    assert.same({ "POST", "/a?b=c", "abc" }, { messages[1].method, messages[1].target, messages[1].body })
    assert.same({ "DELETE", "", false }, { messages[2].method, messages[2].body, messages[2].keep_alive })
  end)

  it("takes a response that ends with its connection", function()
    local messages, reader = read_all("response", "HTTP/1.0 200 OK\r\n\r\nhel", "lo")
    assert.same({}, messages)
    local last = reader:finish()
    assert.same({ "hello", false }, { last.body, last.keep_alive })
  end)

  it("knows that half a response is none", function()
    local _, reader = read_all("response", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
    assert.is_nil(reader:finish())
    assert.is_true(reader:has_begun())
  end)

  it("says what is no HTTP", function()
    assert.same({ nil, "malformed start line: SSH-2.0" }, { read_all("response", "SSH-2.0\r\n\r\n") })
    assert.same({ nil, "malformed Content-Length: two" },
      { read_all("response", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n") })
  end)
end)

describe("the caller", function()
  local owned = {}

  local function own(thing)
    owned[#owned + 1] = thing
    return thing
  end

  -- Calls one after the other; gives the statuses, or the problems.
  local function call_all(url, count)
    local calling, outcomes = own(assert(caller.new(uv, url))), {}
    for number = 1, count do
      calling:call("POST", "/" .. number, "{}", function(answer, problem)
        outcomes[#outcomes + 1] = answer and answer.status or problem
      end)
    end
    while #outcomes < count do uv.run("once") end
    return outcomes, calling
  end

  -- A server that answers the requests of a connection with these bytes, each time a body has come; false: it ends.
  local function server(...)
    local answers, requests = { ... }, {}
    local serving = own(listener.new(function(peer)
      local reader = message.reader("request")
      local function read(bytes)
        reader:feed(bytes)
        local request = reader:next()
        if not request then return end
        requests[#requests + 1] = request.target
        local answer = table.remove(answers, 1)
        if answer then peer:write(answer) else peer:close() end
      end
      read(peer.received)
      uv.read_start(peer.socket, function(_, bytes)
        if bytes then read(bytes) else peer:close() end
      end)
    end))
    return serving, requests
  end

  after_each(function()
    for _, each in ipairs(owned) do each:close() end
    owned = {}
    uv.run()
  end)

  local KEPT = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
  local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
  local LAST = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

  it("keeps the connection and the order", function()
    local serving, requests = server(KEPT, CHUNKED, KEPT)
    local outcomes, calling = call_all(serving.url .. "/base", 3)
    assert.same({ 202, 200, 202 }, outcomes)
    assert.same({ "/base/1", "/base/2", "/base/3" }, requests)
    assert.equal(1, calling.connections)
  end)

  it("makes another connection when the server wants one", function()
    local serving, requests = server(LAST, KEPT)
    local outcomes, calling = call_all(serving.url, 2)
    assert.same({ 200, 202 }, outcomes)
    assert.same({ "/1", "/2" }, requests)
    assert.equal(2, calling.connections)
  end)

  it("calls again when a kept connection turns out to have ended", function()
    local serving, requests = server(KEPT, false, KEPT)
    local outcomes, calling = call_all(serving.url, 2)
    assert.same({ 202, 202 }, outcomes)
    assert.same({ "/1", "/2", "/2" }, requests)
    assert.equal(2, calling.connections)
  end)

  it("does not call again when a new connection ends without an answer, and goes on with the next call", function()
    local serving, requests = server(false, KEPT)
    local outcomes = call_all(serving.url, 2)
    assert.equal(202, outcomes[2])
    assert.is_string(outcomes[1])
    assert.same({ "/1", "/2" }, requests)
  end)

  it("tries every address of a name", function()
    local serving = server(KEPT)
    assert.same({ 202 }, (call_all("http://localhost:" .. serving.port, 1)))
  end)

  it("says when nobody listens", function()
    local serving = server()
    serving:close()
    assert.same({ "ECONNREFUSED" }, (call_all(serving.url, 1)))
  end)

  it("says nothing any more once it is closed", function()
    local serving, requests = server(KEPT)
    local calling = assert(caller.new(uv, serving.url))
    calling:call("GET", "", nil, function() error "answered" end)
    calling:close()
    calling:call("GET", "", nil, function() error "answered" end)
    uv.run("nowait")
    assert.same({}, requests)
  end)

  it("takes http urls only", function()
    assert.is_nil((caller.new(uv, "https://localhost/")))
    assert.is_nil((caller.new(uv, "http://")))
    assert.equal("::1", caller.new(uv, "http://[::1]:8080/a").host)
    assert.equal(80, caller.new(uv, "http://localhost").port)
  end)
end)
