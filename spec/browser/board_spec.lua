--- The order board in a real browser: what is on the page is what the order server says, whatever fails between them.

local browser = require "spec.support.browser"
local cjson = require "cjson"
local directory = require "spec.support.directory"
local http = require "spec.server.client"
local port = require "spec.support.port"
local program = require "spec.support.program"
local relay = require "spec.support.relay"
local scene = require "spec.browser.scene"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local STAGES = { "empty", "initiated", "open", "billed", "paid" }

local function create(server, number, stage)
  server:publish { type = "order_created", order_id = "ORDER-" .. number, data = { order = {
    orderStage = stage, totalAmount = 1000 + number,
  } } }
end

local function move(server, number, previous, new)
  server:publish { type = "stage_change", order_id = "ORDER-" .. number, data = { previousStage = previous, newStage = new } }
end

local function await_lamp(page, state)
  page:await(("document.documentElement.dataset.lamp == '%s'"):format(state))
end

-- A browser that looks at the board of a site, when it is live.
local function look_at(site, width, height, media)
  local page = browser.start()
  page:resize(width or 1920, height or 1080, media)
  page:open(site.url)
  await_lamp(page, "connected")
  return page
end

local function await_card(page, number, stage)
  page:await(([[document.querySelector('#%s [data-id="ORDER-%d"]')]]):format(stage, number) .. " !== null")
end

-- Where each card is: a list of "id stage" in the order of the page.
local CARDS = [[
  [...document.querySelectorAll("#columns .card")].map((card) => `${card.dataset.id} ${card.closest("section").id}`)]]

local function cards(page)
  local list = page:evaluate(CARDS)
  table.sort(list)
  return list
end

local function cards_of(server)
  local list = {}
  for _, order in pairs(server.orders.by_id) do list[#list + 1] = order.orderID .. " " .. order.orderStage end
  table.sort(list)
  return list
end

-- From now on the page counts: copies of cards that fly, moments in which an id was there twice, and how often the lamp
-- went out, however soon it was lit again.
local COUNTING = [[
  window.counts = { flown: 0, twice: 0, troubles: 0 };
  new MutationObserver((changes) => {
    for (const change of changes) counts.flown += change.addedNodes.length;
  }).observe(document.getElementById("flights"), { childList: true });
  new MutationObserver(() => {
    const ids = [...document.querySelectorAll("[data-id]")].map((card) => card.dataset.id);
    if (new Set(ids).size < ids.length) counts.twice += 1;
  }).observe(document.getElementById("columns"), { childList: true, subtree: true });
  new MutationObserver((changes) => {
    for (const { oldValue } of changes) if (oldValue === "connected") counts.troubles += 1;
  }).observe(document.documentElement, { attributeFilter: ["data-lamp"], attributeOldValue: true });
]]

local SNAPSHOTS = [[performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/orders")).length]]

describe("the board", function()
  it("has a card for each order in the column of its stage, and moves it when the order moves", function()
    local server = world.server()
    for number, stage in ipairs(STAGES) do create(server, number, stage) end
    local page = look_at(scene.start(server))
    page:await("document.querySelectorAll('#columns .card').length == 5")
    assert.same({ "ORDER-1 empty", "ORDER-2 initiated", "ORDER-3 open", "ORDER-4 billed", "ORDER-5 paid" }, cards(page))
    page:evaluate(COUNTING)
    move(server, 3, "open", "billed")
    await_card(page, 3, "billed")
    assert.same({ "ORDER-1 empty", "ORDER-2 initiated", "ORDER-3 billed", "ORDER-4 billed", "ORDER-5 paid" }, cards(page))
    page:await "counts.flown == 1 && document.getElementById('flights').childElementCount == 0"
    assert.equal("visible", page:evaluate [[getComputedStyle(document.querySelector('[data-id="ORDER-3"]')).visibility]])
    page:await [[document.getElementById("news").textContent == "ORDER-3 is billed"]]
    assert.same({}, page.problems)
  end)

  it("shows what an order is: amount, status, payment, age; and no order that is deleted", function()
    local server = world.server()
    local page = look_at(scene.start(server))
    create(server, 1, "open")
    create(server, 2, "open")
    server:publish { type = "payment_update", order_id = "ORDER-1", data = { newStatus = "failed" } }
    server:publish { type = "status_update", order_id = "ORDER-1", data = { newStatus = "in_progress" } }
    server:publish { type = "order_deleted", order_id = "ORDER-2", data = {} }
    page:await("document.querySelector('.status')?.textContent == 'in progress' && " .. CARDS .. ".length == 1")
    local text = page:evaluate [[document.querySelector("#open .card").innerText]]
    for _, part in ipairs { "ORDER%-1\n", "1,001", "failed", "%d+ s" } do assert.matches(part, text) end
    assert.equal("1", page:evaluate [[document.querySelector("#open .count").textContent]])
    assert.same({}, page.problems)
  end)

  it("moves nothing through the air for who wants no motion", function()
    local server = world.server()
    create(server, 1, "open")
    local page = look_at(scene.start(server), 1920, 1080, { motion = "reduce" })
    await_card(page, 1, "open")
    page:evaluate(COUNTING)
    move(server, 1, "open", "billed")
    await_card(page, 1, "billed")
    assert.equal(0, page:evaluate "counts.flown")
    assert.equal(0, page:evaluate "document.getAnimations().length")
  end)

  it("on a phone has one column in view, and tabs that lead to the others", function()
    local server = world.server()
    for number, stage in ipairs(STAGES) do create(server, number, stage) end
    local page = look_at(scene.start(server), 390, 844, { phone = true, motion = "reduce" })
    page:await [[document.querySelector('nav [aria-current="true"]')?.dataset.stage == "empty"]]
    assert.is_true(page:evaluate "document.documentElement.scrollWidth <= innerWidth")
    page:evaluate [[document.querySelector('nav [data-stage="billed"]').click()]]
    page:await [[document.querySelector('nav [aria-current="true"]')?.dataset.stage == "billed"]]
    local edges = page:evaluate [[
      (({ left, right }) => [left, right])(document.querySelector('[data-id="ORDER-4"]').getBoundingClientRect())]]
    assert.is_true(edges[1] >= 0 and edges[2] <= 390)
    assert.same({}, page.problems)
  end)
end)

-- The order server as a process of its own, with a memory that outlives it.
local function start_process(reserved, ring)
  local child = world.own(program.start(uv.exepath(), {
    "bin/ordersync", "serve", "--quiet", "--port", tostring(reserved.number), "--ring", ring,
  }))
  return child:await_port(reserved.number)
end

local function post(reserved, type, data)
  local status = http.fetch(reserved.number, "POST", "/api/v1/orders/ORDER-1/events", nil,
    cjson.encode { eventType = type, data = data })
  assert.equal(201, status)
end

-- Time goes on in the page.
local function shift_clock(page, seconds)
  page:evaluate(("{ const now = Date.now; Date.now = () => now() + %d; }"):format(seconds * 1000))
end

describe("the lamp", function()
  it("is not lit for a board that nobody has told the orders: those come when the order server does", function()
    local server = world.server()
    for number = 1, 250 do create(server, number, STAGES[number % 5 + 1]) end
    assert(server:stop())
    local page = browser.start()
    page:open(scene.start(server).url)
    await_lamp(page, "reconnecting")
    page:await "document.querySelectorAll('#columns section').length > 0"
    assert(server:restart())
    await_lamp(page, "connected")
    page:await "document.querySelectorAll('#columns .card').length == 250"
    assert.same(cards_of(server), cards(page))
  end)

  it("turns when the order server is killed, says so when it stays away, and heals when it is back", function()
    local reserved = world.own(port.reserve())
    local ring = world.own(directory.new()):of "ring"
    local child = start_process(reserved, ring)
    post(reserved, "order_created", { order = { orderStage = "initiated" } })
    local page = look_at(scene.start { port = reserved.number })
    await_card(page, 1, "initiated")
    child:close() -- SIGKILL
    await_lamp(page, "reconnecting")
    assert.equal("", page:evaluate "document.getElementById('trouble').textContent")
    shift_clock(page, 65)
    await_lamp(page, "stale")
    assert.equal("The order server cannot be reached. What you see may be old.",
      page:evaluate "document.getElementById('trouble').textContent")
    start_process(reserved, ring)
    await_lamp(page, "connected")
    assert.equal("", page:evaluate "document.getElementById('trouble').textContent")
    page:await "/^\\d s ago$/.test(document.getElementById('data-age').textContent)"
    post(reserved, "stage_change", { previousStage = "initiated", newStage = "open" })
    await_card(page, 1, "open")
    assert.same({ "ORDER-1 open" }, cards(page))
    assert.same({}, page.problems)
  end)

  it("turns when nginx is killed; the board asks for all orders when another one is there", function()
    local server = world.server()
    create(server, 1, "open")
    create(server, 2, "open")
    local site = scene.start(server)
    local page = look_at(site)
    page:evaluate(COUNTING)
    site:kill()
    await_lamp(page, "reconnecting")
    shift_clock(page, 65)
    await_lamp(page, "stale")
    assert.equal("The board has no connection. What you see may be old.",
      page:evaluate "document.getElementById('trouble').textContent")
    page:await "document.getElementById('data-age').textContent == '1 min ago'"
    move(server, 1, "open", "billed")
    server:publish { type = "order_deleted", order_id = "ORDER-2", data = {} }
    create(server, 3, "empty")
    site:restart()
    await_lamp(page, "connected")
    page:await(CARDS .. ".sort().join() == 'ORDER-1 billed,ORDER-3 empty'")
    assert.equal(0, page:evaluate "counts.twice")
  end)
end)

-- An order server with orders that have gone some way; each step moves one of them.
local function server_at_work()
  local server = world.server { simulate = { orders = 12, interval_ms = 0, seed = 6 } }
  local function work(steps)
    for _ = 1, steps do server.simulation:step() end
  end
  work(60)
  return server, work
end

local function await_cards_of(page, server)
  page:await(("%s.sort().join() == '%s'"):format(CARDS, table.concat(cards_of(server), ",")))
end

-- How often the browser has asked for events, and how often without saying behind which one.
local function requests_for_events(wire)
  local all, blind = 0, 0
  for _, each in ipairs(wire.wires) do
    for target in each.sent:gmatch "GET (/orders/events%S*)" do
      all = all + 1
      if not target:find "%?lastEventId=%x+%%3A%d+$" then blind = blind + 1 end
    end
  end
  return all, blind
end

-- Long timers of the page end when `elapse()` is called, and not by themselves.
local HOLDING_TIMERS = [[
  const start = setTimeout, stop = clearTimeout, held = new Map();
  let last = 0;
  window.setTimeout = (fn, milliseconds, ...given) => {
    if (!(milliseconds >= 1000)) return start(fn, milliseconds, ...given);
    last -= 1;
    held.set(last, fn);
    return last;
  };
  window.clearTimeout = (id) => held.delete(id) || stop(id);
  window.elapse = () => {
    const due = [...held.values()];
    held.clear();
    for (const fn of due) fn();
  };
]]

describe("a stream that breaks", function()
  it("goes on where it was, without another snapshot: no card is lost, twice, or in a wrong column", function()
    local server, work = server_at_work()
    local site = scene.start(server)
    local wire = world.own(relay.new(site.port))
    local page = look_at(wire)
    page:evaluate(COUNTING)
    for cuts = 1, 3 do
      work(40)
      wire:cut()
      page:await("counts.troubles >= " .. cuts)
      work(40)
      await_lamp(page, "connected")
    end
    await_cards_of(page, server)
    assert.equal(0, page:evaluate "counts.twice")
    assert.equal(1, page:evaluate(SNAPSHOTS))
    local all, blind = requests_for_events(wire)
    assert.is_true(all > 3)
    assert.equal(0, blind)
  end)

  it("without a word, is opened again where it was", function()
    local server, work = server_at_work()
    local site = scene.start(server)
    local wire = world.own(relay.new(site.port))
    local page = browser.start()
    page:call("Page.addScriptToEvaluateOnNewDocument", { source = HOLDING_TIMERS })
    page:open(wire.url)
    await_lamp(page, "connected")
    page:evaluate(COUNTING)
    for _, each in ipairs(wire.wires) do
      if each.sent:find "GET /orders/events" then each:stall() end
    end
    work(40)
    page:evaluate "elapse()"
    assert.equal(1, page:evaluate "counts.troubles")
    await_lamp(page, "connected")
    await_cards_of(page, server)
    assert.equal(0, page:evaluate "counts.twice")
    assert.equal(1, page:evaluate(SNAPSHOTS))
    assert.same({}, page.problems)
  end)

  it("because nginx is reloaded, goes on in another worker", function()
    local server, work = server_at_work()
    local site = scene.start(server)
    local page = look_at(site)
    page:evaluate(COUNTING)
    for _ = 1, 3 do
      work(40)
      site:reload()
    end
    work(40)
    await_cards_of(page, server)
    await_lamp(page, "connected")
    assert.equal(0, page:evaluate "counts.twice")
  end)
end)

-- The page gets the snapshot that it has asked for when `release` is called, and keeps the types of what it hears.
local HOLDING = [[
  window.heard = [];
  const released = new Promise((resolve) => { window.release = resolve; });
  const ask = fetch;
  window.fetch = async (...given) => {
    const response = await ask(...given);
    if (given[0] !== "orders") return response;
    document.documentElement.dataset.held = "";
    await released;
    return response;
  };
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (type, fn) {
    listen.call(this, type, (event) => {
      if (type !== "connected" && type !== "health") heard.push(type);
      fn(event);
    });
  };
]]

-- When nginx knows of a stage, it has what was published before, too.
local AWAIT_STAGE = [[(async () => {
  const stage = async () => (await (await fetch("orders/ORDER-%d/stage")).text()).trim();
  while (await stage() !== "%s");
})()]]

describe("a snapshot", function()
  it("is gone on from: the page hears what has happened since, once, and nothing that came before", function()
    local server = world.server()
    create(server, 1, "open")
    create(server, 2, "open")
    move(server, 1, "open", "initiated")
    local site = scene.start(server)
    local page = look_at(site)
    await_card(page, 1, "initiated")
    page:call("Page.addScriptToEvaluateOnNewDocument", { source = HOLDING })
    page:open(site.url)
    page:await "document.documentElement.dataset.held !== undefined"
    server:publish { type = "order_deleted", order_id = "ORDER-2", data = {} }
    move(server, 1, "initiated", "billed")
    page:evaluate(AWAIT_STAGE:format(1, "billed"))
    assert.equal("reconnecting", page:evaluate "document.documentElement.dataset.lamp")
    page:evaluate "release()"
    await_card(page, 1, "billed")
    assert.same({ "ORDER-1 billed" }, cards(page))
    await_lamp(page, "connected")
    assert.equal("order_deleted stage_change", page:evaluate "heard.join(' ')")
    assert.same({}, page.problems)
  end)
end)
