-- Mode `compare`: the stream's picture of the orders against what polls say of them. It hears of events, of polls and of
-- time, and knows nothing of either source.
--
-- A poll is a fence. From when it is asked until it came, what the stream says of a field makes this poll's word on that
-- field worth nothing: it may be older or newer. Where they differ otherwise, there is a suspicion, for an event may be
-- on its way. The stream clears it by speaking of that field, the next poll by agreeing. It is a difference if a later poll,
-- asked settle_ms after it arose or later, disagrees still. So there is no false alarm as long as
--   - the stream delivers in order, and no later than settle_ms after the change;
--   - a poll shows each order as it was at one moment between its asking and its coming;
--   - every event names the fields that it changed.
-- A difference is counted once: the picture then takes the poll's word. The proof is in docs/decisions.md's spirit, the
-- trial in spec/drift_spec.lua.

local comparison = require "sync.drift.comparison"
local ledger = require "sync.drift.ledger"

return { comparison = comparison, ledger = ledger }
