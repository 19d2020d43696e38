--- The balance of a run: what was sent against what was received, by event id. Pure.

local tally = {}

---@class sync.cli.Tally
---@field sent integer
---@field received integer deliveries, repeated ones included
local Tally = {}
Tally.__index = Tally

---@return sync.cli.Tally
function tally.new()
  return setmetatable({ sent = 0, received = 0, positions = {}, arrivals = {}, deliveries = {}, matched = 0 }, Tally)
end

-- Matched once both sides have it, whichever is first.
local function note_match(self, id)
  if self.positions[id] and self.deliveries[id] then self.matched = self.matched + 1 end
end

---The server has said that it published an event; in the order of publication.
---@param id string
function Tally:add_sent(id)
  self.sent = self.sent + 1
  self.positions[id] = self.sent
  note_match(self, id)
end

---An event was delivered.
---@param id string
function Tally:add_received(id)
  self.received = self.received + 1
  self.arrivals[self.received] = id
  local is_first = not self.deliveries[id]
  self.deliveries[id] = (self.deliveries[id] or 0) + 1
  if is_first then note_match(self, id) end
end

---How it stands.
---@return {sent: integer, received: integer, lost: integer, duplicated: integer, out_of_order: integer}
function Tally:balance()
  local duplicated, out_of_order, latest, seen = 0, 0, 0, {}
  for _, id in ipairs(self.arrivals) do
    local position = self.positions[id]
    if seen[id] then
      duplicated = duplicated + 1
    elseif position and position < latest then
      out_of_order = out_of_order + 1
    end
    seen[id] = true
    latest = math.max(latest, position or 0)
  end
  return {
    sent = self.sent, received = self.received, lost = self.sent - self.matched, duplicated = duplicated,
    out_of_order = out_of_order,
  }
end

---Whether everything that was sent was received, once and in order, and nothing else was.
---@return boolean
function Tally:is_perfect()
  local balance = self:balance()
  return balance.lost + balance.duplicated + balance.out_of_order == 0 and balance.received == balance.sent
end

return tally
