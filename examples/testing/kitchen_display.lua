-- A kitchen display, as a module that can be tested: it takes the client, and says what to print to whoever made it.

local kitchen_display = {}

--- Prints a ticket for each new order, once, and warns when the picture may be old.
---@param client sync.Client
---@param print_line fun(line: string)
function kitchen_display.start(client, print_line)
  local printed = {}
  client:on_event("order_created", function(event)
    if printed[event.order_id] then return end
    printed[event.order_id] = true
    print_line("TICKET " .. event.order_id)
  end)
  client:on_stage_change("*", function(event, _, stage)
    if stage == "paid" then print_line("PAID " .. event.order_id) end
  end)
  client:on_state(function(state, before)
    if before == "connected" then print_line "OFFLINE" end
    if state == "connected" then print_line "ONLINE" end
  end)
end

return kitchen_display
