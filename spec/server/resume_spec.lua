--- Resuming by the last event ID: what is replayed, and how a client learns that something is missing.

local scene = require "spec.server.scene"

local start, open, publish, body_until = scene.start, scene.open, scene.publish, scene.body_until

after_each(scene.clear)

describe("resuming", function()
  local function resumed(s, last_event_id, query)
    local opened = open(s, query, last_event_id and { ["Last-Event-ID"] = last_event_id })
    s:comment("end")
    return (body_until(opened, ": end\n\n"):gsub(": end\n\n$", ""))
  end

  it("goes on right after the last event ID, in the header or the query", function()
    local s = start()
    local wires = publish(s, 5)
    assert.equal(wires[4] .. wires[5], resumed(s, s.ring:id(3)))
    assert.equal(wires[5], resumed(s, nil, "?lastEventId=" .. s.ring:id(4)))
    assert.equal("", resumed(s, s.ring:id(5)))
    assert.equal("", resumed(s, nil))
  end)

  it("gives a new client, and only that, its position with connected", function()
    local s = start()
    publish(s, 3)
    assert.matches("^id: " .. s.ring.epoch .. "%-3\nevent: connected\n", (open(s):body()))
    assert.matches("^event: connected\n", (open(s, "", { ["Last-Event-ID"] = s.ring:id(2) }):body()))
  end)

  it("says resync when the ring has overflowed, and replays what is there", function()
    local s = start { replay_limit = 2 }
    local wires = publish(s, 5)
    assert.equal(wires[4] .. wires[5], resumed(s, s.ring:id(3)))
    local id = s.ring:id(2)
    assert.equal(("id: %s\nevent: resync\ndata: {\"reason\":\"too_old\",\"lastEventID\":\"%s\"}\n\n")
      :format(s.ring:id(3), id) .. wires[4] .. wires[5], resumed(s, id))
  end)

  it("says resync for an id of another epoch and for one that is none", function()
    local s = start()
    publish(s, 2)
    local old = s.ring:id(2)
    s:new_epoch()
    local wires = publish(s, 1)
    local resync = "id: " .. s.ring:id(0) .. '\nevent: resync\ndata: {"reason":"%s","lastEventID":"%s"}\n\n'
    assert.equal(resync:format("other_epoch", old) .. wires[1], resumed(s, old))
    assert.equal(resync:format("unknown_id", "abc") .. wires[1], resumed(s, "abc"))
  end)

  it("goes on over a new epoch on an open stream", function()
    local s = start()
    local opened = open(s)
    local before = publish(s, 2)
    local old_epoch = s.ring.epoch
    s:new_epoch()
    assert.is_true(s.ring.epoch > old_epoch)
    local after = publish(s, 1)
    assert.equal(table.concat(before) .. after[1], body_until(opened, after[1]))
    assert.matches("^id: " .. s.ring.epoch .. "%-1\n", after[1])
  end)

  it("is unknown to a server without ids", function()
    local s = start { ids = false }
    local wires = publish(s, 2)
    assert.is_nil(wires[1]:find("id:", 1, true))
    assert.equal("", resumed(s, "1-1"))
    local opened = open(s, "", { ["Last-Event-ID"] = "1-1" })
    local wire = publish(s, 1)[1]
    assert.equal(wire, body_until(opened, wire))
    assert.matches("^event: connected\n", (opened:body()))
  end)
end)
