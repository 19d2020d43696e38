--- docs/embedding-c.md shows pieces of the examples in C: they are there, to the letter.

local function text_of(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

describe("each piece of C in docs/embedding-c.md", function()
  it("is a piece of an example", function()
    local examples = text_of "examples/embed-c/pos.c" .. text_of "examples/embed-c/plain.c"
    local pieces = 0
    for piece in text_of("docs/embedding-c.md"):gmatch "```c\n(.-)```" do
      pieces = pieces + 1
      assert.is_truthy(examples:find(piece, 1, true), piece)
    end
    assert.is_true(pieces > 0)
  end)
end)
