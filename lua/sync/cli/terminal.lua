--- Where lines go: standard output or standard error, which may be a terminal, a pipe or a file.
-- It decides about colour, knows the width, makes text printable on its way out (so that nobody can forget to), and
-- notices that nobody reads any more. What a line says is the matter of others.

local text = require "sync.cli.text"
local uv = require "luv"

local terminal = {}

-- "Select Graphic Rendition" (ECMA-48, section 8.3.117).
local STYLES = {
  bold = "1", dim = "2", red = "31", green = "32", yellow = "33", blue = "34", magenta = "35", cyan = "36",
  alarm = "1;31", good = "1;32", notice = "1;33",
}

local EPIPE = 32 -- the same number on every Unix

---@class sync.cli.Terminal
---@field color boolean
---@field failure string|nil why nothing can be written any more
---@field is_gone boolean|nil the reader has closed the pipe: no reason to complain
local Terminal = {}
Terminal.__index = Terminal

---Whether to colour. The option decides; else the terminal does, unless NO_COLOR is set and not empty
---(https://no-color.org).
---@param when string "always", "never" or "auto"
---@param is_terminal boolean
---@param environment table name -> value
---@return boolean
function terminal.wants_color(when, is_terminal, environment)
  if when ~= "auto" then return when == "always" end
  if (environment.NO_COLOR or "") ~= "" or environment.TERM == "dumb" then return false end
  return is_terminal
end

local function open(stream, fd, when)
  local is_terminal = uv.guess_handle(fd) == "tty"
  local environment = { NO_COLOR = os.getenv("NO_COLOR"), TERM = os.getenv("TERM") }
  local self = setmetatable({ stream = stream, color = terminal.wants_color(when, is_terminal, environment) }, Terminal)
  if is_terminal then
    self.tty = uv.new_tty(fd, false)
    uv.unref(self.tty) -- only asked for its size
  end
  stream:setvbuf("full")
  return self
end

---Standard output.
---@param when string|nil colours: "always", "never", "auto" (the default)
---@return sync.cli.Terminal
function terminal.output(when)
  return open(io.stdout, 1, when or "auto")
end

---Standard error.
---@param when string|nil
---@return sync.cli.Terminal
function terminal.errors(when)
  return open(io.stderr, 2, when or "auto")
end

---How wide it is, now.
---@return number columns; endless when it is no terminal
function Terminal:columns()
  local columns = self.tty and uv.tty_get_winsize(self.tty)
  return columns and columns > 0 and columns or math.huge
end

function Terminal:paint(style, shown)
  if not self.color or not style or shown == "" then return shown end
  return "\27[" .. STYLES[style] .. "m" .. shown .. "\27[0m"
end

---Write one line of pieces; on a terminal it is cut rather than wrapped.
---@param pieces table[] `{text, style=, width=}`: `width` is the least number of columns
function Terminal:line(pieces)
  local painted, left = {}, self:columns()
  for index, piece in ipairs(pieces) do
    local shown = text.printable(piece[1])
    if piece.width then shown = text.pad(shown, piece.width) end
    shown = text.cut(shown, left)
    left = left - text.width(shown)
    painted[index] = self:paint(piece.style, shown)
  end
  self:write((table.concat(painted):gsub(" +$", "")))
end

---Write a line as it is, whole: for machines.
---@param line string
function Terminal:write(line)
  local ok, message, number = self.stream:write(line, "\n")
  if not ok then self:fail(message, number) end
end

function Terminal:fail(message, number)
  self.failure = self.failure or message
  self.is_gone = number == EPIPE
end

---Send what was written on its way.
---@return boolean ok false: nothing can be written any more, see `failure`
function Terminal:flush()
  local ok, message, number = self.stream:flush()
  if not ok then self:fail(message, number) end
  return self.failure == nil
end

-- LuaJIT compiles flush() so that a failure is found after the fact and the call is made once more, with nothing left to
-- flush: the second call succeeds and the failure is lost. Interpreted, it is told.
if jit then
  jit.off(Terminal.write)
  jit.off(Terminal.flush)
end

return terminal
