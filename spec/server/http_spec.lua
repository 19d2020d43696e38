--- The request parser and the writing of responses: bytes in, values out, no socket.

local http = require "sync.server.http"

local function parse(bytes)
  local parser = http.new_parser()
  parser:feed(bytes)
  return parser:next()
end

local function status_of(bytes)
  local request, status = parse(bytes)
  assert.is_nil(request)
  return status
end

describe("the request parser", function()
  it("reads the request line, the query and the fields", function()
    local request = parse("GET /a%20b?orderID=A%2FB+C&x&orderID=D HTTP/1.1\r\n"
      .. "Host: h\r\nX-Two: 1 \r\nx-two:\t2\r\n\r\n")
    assert.equal("GET", request.method)
    assert.equal("/a%20b?orderID=A%2FB+C&x&orderID=D", request.target)
    assert.equal("/a%20b", request.path)
    assert.same({ orderID = "A/B C,D", x = "" }, request.query)
    assert.same({ host = "h", ["x-two"] = "1, 2" }, request.headers)
    assert.is_true(request.keep_alive)
  end)

  it("gives the same requests for every split of the bytes", function()
    local bytes = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\r\nGET /q HTTP/1.1\r\nHost: h\r\n\r\n"
    for cut = 1, #bytes - 1 do
      local parser, seen = http.new_parser(), {}
      for _, part in ipairs { bytes:sub(1, cut), bytes:sub(cut + 1) } do
        parser:feed(part)
        local request = parser:next()
        while request do
          seen[#seen + 1] = request.method .. request.path .. request.body
          request = parser:next()
        end
      end
      assert.same({ "POST/phello", "GET/q" }, seen)
    end
  end)

  it("knows when the connection ends with the answer", function()
    assert.is_false(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n").keep_alive)
    assert.is_false(parse("GET / HTTP/1.0\r\n\r\n").keep_alive)
  end)

  it("refuses what is no request with the status that says why", function()
    local host = " HTTP/1.1\r\nHost: h\r\n"
    assert.equal(400, status_of("GET\r\n\r\n"))
    assert.equal(400, status_of("GET http://h/" .. host .. "\r\n"))
    assert.equal(400, status_of("GET / HTTP/1.1\r\n\r\n"))
    assert.equal(400, status_of("GET /" .. host .. "Bad Name: 1\r\n\r\n"))
    assert.equal(400, status_of("GET /" .. host .. "A: 1\r\n folded\r\n\r\n"))
    assert.equal(400, status_of("GET /" .. host .. "A: b\0c\r\n\r\n"))
    assert.equal(400, status_of("POST /" .. host .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"))
    assert.equal(505, status_of("GET / HTTP/2.0\r\n\r\n"))
    assert.equal(501, status_of("POST /" .. host .. "Transfer-Encoding: chunked\r\n\r\n"))
  end)

  it("refuses what is too large, before it is complete", function()
    local limits = http.limits
    assert.equal(414, status_of("GET /" .. ("x"):rep(limits.request_line_bytes) .. " HTTP/1.1\r\nHost: h\r\n\r\n"))
    assert.equal(431, status_of("GET / HTTP/1.1\r\nA: " .. ("x"):rep(limits.head_bytes)))
    assert.equal(431, status_of("GET / HTTP/1.1\r\n" .. ("A: 1\r\n"):rep(limits.headers + 1) .. "\r\n"))
    local length = ("Content-Length: %d\r\n\r\n"):format(limits.body_bytes + 1)
    assert.equal(413, status_of("POST / HTTP/1.1\r\nHost: h\r\n" .. length))
  end)

  it("asks for a body that waits for 100 Continue, once", function()
    local parser = http.new_parser()
    parser:feed("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert.is_nil(parser:next())
    assert.is_true(parser:wants_continue())
    assert.is_false(parser:wants_continue())
    parser:feed("ok")
    assert.equal("ok", parser:next().body)
  end)
end)

describe("a response", function()
  it("has its fields in order, a list as repeated fields, and none that was taken out", function()
    local headers = { { "Content-Type", "a" }, { "B", "1" } }
    http.set_header(headers, "content-type", false)
    http.set_header(headers, "b", { "2", "3" })
    assert.equal("HTTP/1.1 503 Service Unavailable\r\nb: 2\r\nb: 3\r\n\r\n", http.head(503, headers))
  end)

  it("writes the size of a chunk in hexadecimal", function()
    assert.equal("1a\r\n" .. ("x"):rep(26) .. "\r\n", table.concat(http.chunk(("x"):rep(26))))
  end)
end)
