---@meta sync
-- Types of `require "sync"` for editors (LuaCATS, as lua-language-server reads them). Not a module: nothing here runs.
-- Point your editor at this folder: "Lua.workspace.library": ["path/to/ordersync/types"].
-- luacheck: push ignore 212 241

-- ---- values --------------------------------------------------------------------------------------------------------

---@alias sync.Code
---| "CIRCUIT_OPEN" | "CLOSED" | "CONNECT_TIMEOUT" | "CONTENT_TYPE" | "CREDENTIALS" | "DNS" | "EVENT_DECODE"
---| "EVENT_JSON" | "EVENT_TOO_LARGE" | "EXHAUSTED" | "FORKED" | "HANDLER" | "HEADER" | "HTTP_AUTH" | "HTTP_NO_CONTENT"
---| "HTTP_PROTOCOL" | "HTTP_REDIRECT" | "HTTP_STATUS" | "IDLE_TIMEOUT" | "JOURNAL_CORRUPT" | "JOURNAL_FULL"
---| "JOURNAL_GONE" | "JOURNAL_IO" | "JOURNAL_LOCKED" | "JOURNAL_READ_ONLY" | "JOURNAL_SCHEMA" | "NETWORK"
---| "NETWORK_CHANGED" | "NO_JOURNAL" | "NO_MEMORY"
---| "OPTION" | "POLL_FAILED" | "PROXY" | "REFUSED" | "SLEPT" | "SNAPSHOT" | "STREAM_CUT" | "STREAM_ENDED" | "SYSTEM"
---| "TIGHT_LOOP" | "TIMEOUT" | "TLS" | "TLS_FILE" | "TLS_UNVERIFIED" | "URL"

---What follows from an error. See docs/connection.md.
---@alias sync.Class "retry" | "authentication" | "configuration" | "fatal"

---@alias sync.State "disconnected" | "connecting" | "connected" | "reconnecting" | "polling_fallback" | "error" | "closed"
---@alias sync.Status "healthy" | "connecting" | "polling" | "error" | "disconnected"
---@alias sync.Mode "auto" | "stream" | "poll" | "compare" | "off"
---Where news came from: the stream, a poll, or the snapshot after a gap in the stream.
---@alias sync.Source "stream" | "poll" | "backfill"
---@alias sync.Texts string | string[] a text, or a list of them; "*" is any

---An event. `type` and `order_id` are there from the start, the rest is made when it is touched.
---@class sync.Event
---@field type string
---@field order_id string?
---@field data any what the decode mode makes of the message
---@field previous_stage string? of a stage change: what the event says, or else what the order book knew
---@field new_stage string?
---@field id string? last event ID when it was dispatched
---@field timestamp string? as the server wrote it
---@field received_at integer milliseconds since the epoch
---@field seq integer 1 for the client's first; with a journal it goes on from client to client
---@field source sync.Source
---@field redelivered boolean it was delivered before, perhaps
---@field acknowledged boolean client:ack() has seen it
---@field maybe_done boolean? while a function of client:once runs for it: whether that may have happened before
---@field raw string the message as it came
local Event = {}

---A copy with every field made and nothing hidden: for `pairs` and JSON encoders.
---@return table
function Event:plain() end

---What went wrong. See docs/errors.md.
---@class sync.Error
---@field code sync.Code
---@field class sync.Class
---@field message string
---@field hint string what to do about it
---@field retryable boolean class retry, or HTTP_AUTH after which the function is asked once more
---@field status integer? of HTTP
---@field attempt integer? failures in a row; HANDLER: how often the event has been delivered
---@field next_retry_at integer? milliseconds since the epoch; nil: no attempt is planned
---@field event sync.Event? HANDLER: what the handler was called with

---An event that handlers could not do. See docs/journal.md.
---@class sync.DeadLetter
---@field number integer 1, 2, 3, ...: never used again
---@field problem string what the handler said that failed last
---@field attempts integer
---@field failed_at integer milliseconds since the epoch
---@field wanted boolean it is to be delivered again
---@field type string of the event, as all that follows
---@field order_id string?
---@field data any
---@field raw string
---@field id string?
---@field seq integer

---What client:once tells the function.
---@class sync.Effect
---@field name string
---@field maybe_done boolean a process died, or so, while the function ran: perhaps it has happened

---Which events are meant.
---@class sync.Filter
---@field order_id sync.Texts?
---@field event_types sync.Texts?
---@field since integer? `received_at` or later
---@field limit integer? the latest so many
---@field where (fun(event: sync.Event): boolean?)?

---An order, as the book knows it: the members that the server gave it, and these. See docs/orders.md.
---@class sync.Order
---@field orderID string or under another name of the server's
---@field orderStage string?
---@field paymentStatus string?
---@field overallStatus string?
---@field updatedAt string?
---@field as_of integer when it was last changed or confirmed, milliseconds since the epoch
---@field source sync.Source | "optimistic" of the last change; optimistic: nothing but a promise is known
---@field stale boolean neither the stream nor polling keeps it up to date now
---@field optimistic boolean? a promise lies over it
---@field [string] any

---Which orders are meant.
---@class sync.OrderFilter
---@field stage sync.Texts?
---@field payment sync.Texts?
---@field status sync.Texts?
---@field updated_since integer? milliseconds since the epoch, by the server's clock
---@field where (fun(order: sync.Order): boolean?)?
---@field limit integer?
---@field sort string | (fun(a: sync.Order, b: sync.Order): boolean) | nil "changed", "id", a member, or "-" and a member

---What a poll brought.
---@class sync.PollReport
---@field source sync.Source
---@field unchanged boolean the server said 304, or the fetch function nil
---@field orders integer in the snapshot
---@field changed integer of them that the book knew otherwise, or not

---What a call of an auto_refresh or on_dashboard function is for.
---Something is, or was, missing in the stream. See docs/gaps.md.
---@class sync.Gap
---@field number integer
---@field open boolean
---@field reason "ids" | "epoch" | "hub" | "resync" | "no_replay" how it was noticed
---@field cure "replay" | "order" | "snapshot" | "given_up" | nil what has closed it
---@field missing integer? events that have not come; nil: nobody knows how many
---@field opened_at integer milliseconds since the epoch
---@field closed_at integer?
---@field after_id string? of the last event before it
---@field before_id string? of the first event behind it
---@field order_id string? of the only order that it can be about
---@field detail string? why, in the server's words

---@class sync.RefreshNews
---@field reason "event" | "poll" | "resync" | "start" of the first touch that no call has answered
---@field count integer how many of them there are

---How auto_refresh and on_dashboard call.
---@class sync.RefreshOptions
---@field event_types sync.Texts? for auto_refresh
---@field debounce_ms integer? default 1000
---@field max_wait_ms integer? default 5 x debounce_ms
---@field enabled boolean | (fun(): boolean) | nil for auto_refresh; false: never; a function is asked before each call

---A step that the order's declared life does not have.
---@class sync.Violation
---@field kind "repeated" | "skipped" | "late" | "impossible"
---@field order_id string
---@field previous string? the stage that was delivered last
---@field new string
---@field missing string[]? skipped: the stages in between
---@field action "delivered" | "dropped" | "asked" asked: the snapshot decides
---@field event sync.Event

---@alias sync.DriftClass
---| "missing_in_stream" | "missing_in_poll" | "stage_differs" | "field_differs" | "version_goes_back"

---What stream and polls disagree on, once.
---@class sync.Difference
---@field class sync.DriftClass
---@field order_id string
---@field fields table<string, {stream: any, poll: any}>? stage_differs, field_differs: what each says
---@field source "stream" | "poll" | nil version_goes_back: which
---@field from number?
---@field to number?
---@field stood_ms number how long it had been there when it was counted
---@field found_at number milliseconds since the epoch

---What a comparison has found. See docs/migrating.md.
---@class sync.DriftReport
---@field differences integer
---@field classes table<sync.DriftClass, {count: integer, orders: string[], fields: table<string, integer>}>
---@field recent sync.Difference[] the latest hundred, oldest first
---@field lead_ms {p50: number?, p99: number?, samples: integer} how far the stream is ahead; negative: behind
---@field stream_first integer news that the stream told first
---@field poll_first integer
---@field events integer
---@field polls integer compared
---@field empty_polls integer of these: said nothing that the stream had not said
---@field baselines integer polls that only said which orders there are
---@field failed_polls integer
---@field unjudged_polls integer polls while the stream was away
---@field in_flight integer words of polls that were set aside, for the stream was speaking of the same
---@field settled integer suspicions that the stream cleared
---@field pending integer suspicions that there are now
---@field orders integer watched
---@field overflowed boolean there are more orders than are watched
---@field compared_ms number
---@field clean_ms number compared since the last difference
---@field clean_events integer

---@class sync.Latency milliseconds from an event's arrival to its handler, sampled
---@field p50 number
---@field p99 number

---@class sync.Health.Journal
---@field ok boolean the file has everything
---@field unsaved integer what it does not have yet
---@field waiting_for_ack integer events that were taken and are not done
---@field error sync.Error? why it is not ok
---@field failing_since integer? milliseconds since the epoch

---How a client is. Durations in milliseconds, times in milliseconds since the epoch.
---@class sync.Health
---@field status sync.Status
---@field state sync.State
---@field is_connected boolean
---@field is_connecting boolean
---@field is_polling_fallback boolean
---@field stale boolean neither connected nor polling
---@field error sync.Error? the last of the connection since it was connected
---@field handler_error sync.Error? the last of a handler
---@field uptime_ms integer of the stream that is open
---@field data_age_ms integer? since the last byte
---@field idle_timeout_ms integer? in force
---@field failed_polls integer? in a row, so far
---@field last_connected_at integer?
---@field next_retry_at integer?
---@field last_event_id string?
---@field open_gaps integer?
---@field complete boolean? there is reason to believe that nothing is missing
---@field total_events integer
---@field total_reconnects integer
---@field latency_ms sync.Latency?
---@field journal sync.Health.Journal? nil: no persistence

---Counters since the client was made.
---@class sync.Metrics
---@field total_events integer? order events
---@field total_connections integer?
---@field total_reconnects integer?
---@field total_bytes integer?
---@field comments integer?
---@field heartbeats integer?
---@field parse_errors integer? EVENT_JSON
---@field too_large integer? EVENT_TOO_LARGE
---@field duplicates integer? events that came again and were dropped
---@field gaps integer? that were opened
---@field renewals integer? streams that were replaced by a new one before they were closed
---@field failures integer? told of connects, streams and renewals
---@field pauses integer? times the socket was paused: back-pressure or budget
---@field queue_depth integer? now
---@field queue_peak integer?
---@field untold integer? states and errors that were dropped, because nobody took those before them
---@field connected_ms integer? in all
---@field uptime_ms integer of the stream that is open
---@field handler_errors integer
---@field decode_errors integer
---@field violations table<string, integer> steps that an order's declared life does not have, by kind
---@field polls integer? that were begun
---@field polls_unchanged integer? of them, those that brought nothing new: 304, or nil of the fetch function
---@field poll_failures integer?
---@field poll_bytes integer?
---@field poll_sessions integer? times that polling at the interval began
---@field polling_ms integer? how long it went on, in all
---@field overtaken integer? events of the stream that were dropped, because a poll had told of them
---@field redelivered integer? events that the journal had, not done
---@field dead_letters integer? events that handlers could not do
---@field commits integer? of the journal
---@field lifetime table<string, integer>? counters that go on from client to client; nil: no persistence
---@field event_counts table<string, integer> by type

-- ---- options -------------------------------------------------------------------------------------------------------

---@class sync.Options.Tls
---@field ca_file string?
---@field cert_file string?
---@field key_file string?
---@field pinned_public_key string?
---@field min_version "1.2" | "1.3" | nil
---@field insecure_skip_verify boolean?

---@class sync.Options.Fields names in the wire's JSON
---@field type string?
---@field order_id string?
---@field timestamp string?
---@field data string?

---Where snapshots come from: `url` or `fetch`, one of them, and `order_url`. See docs/polling.md.
---@class sync.Options.Polling
---@field url string? relative to the stream's url
---@field order_url string? of one order, {id} standing for its id: for a client with the option order_id
---@field fetch (fun(): orders: table[] | string | nil, problem: string?)? a list of orders, or its JSON; nil: nothing new
---@field interval_ms integer?
---@field timeout_ms integer?
---@field headers table<string, string | number>?
---@field partial boolean? a snapshot does not have every order

---How stream and polls are compared. See docs/migrating.md.
---@class sync.Options.Compare
---@field settle_ms integer? how late an event may be, default 5000
---@field ignore string | string[] | nil members of an order that are not compared

---The life of an order. See docs/orders.md.
---@class sync.Stages
---@field initial string[] where it may begin
---@field final string[] where it ends
---@field steps table<string, string[]> stage -> those that may follow

---@alias sync.ViolationAction "deliver" | "drop" | "hold" | "snapshot"

---What becomes of an event whose step the declared life does not have; "hold" for `skipped` only.
---@class sync.Options.Violations
---@field repeated sync.ViolationAction?
---@field skipped sync.ViolationAction?
---@field late sync.ViolationAction?
---@field impossible sync.ViolationAction?
---@field hold_ms integer? default 1000

---Where a client's journal is, and how it is kept. See docs/options.md.
---@class sync.Options.Persistence
---@field path string? default ordersync-HOST-PORT.db
---@field stream string|nil what the stream is called in the file; default: after the url
---@field durability "normal" | "full" | "off" | nil
---@field required boolean?
---@field max_events integer?
---@field max_bytes integer?
---@field max_age_ms integer?

---How a handler that fails is called again.
---@class sync.Options.Retry
---@field attempts integer? in all, default 5
---@field delay_ms integer? default 1000
---@field max_delay_ms integer? default 30000

---Who gets the stream: those whose key's hash is among the first `percent`.
---@class sync.Options.Rollout
---@field percent number 0 to 100
---@field key string of this terminal, always the same

---@class sync.Decoded
---@field type string?
---@field order_id string?
---@field timestamp string?
---@field data any

---Options of `sync.connect` and `client:configure`. See docs/options.md.
---@class sync.Options
---@field url string | string[] | nil required by `sync.connect`; a list: the first one, the others while it fails
---@field order_id string?
---@field event_types string | string[] | nil
---@field last_event_id string?
---@field mode sync.Mode | (fun(): sync.Mode) | nil the environment's SYNC_MODE goes before it
---@field rollout sync.Options.Rollout? decides where `mode` does not
---@field polling sync.Options.Polling | false | nil
---@field compare sync.Options.Compare?
---@field max_snapshot_bytes integer?
---@field book_limit integer? orders that are kept
---@field stages sync.Stages?
---@field violations sync.Options.Violations?
---@field persistence boolean | string | sync.Options.Persistence | nil true: ordersync-HOST-PORT.db
---@field dead_letter_limit integer?
---@field redact string | string[] | nil members whose values are kept off the disk
---@field ack "auto" | "manual" | nil when an event is done: when its handlers have returned, or when it is acknowledged
---@field retry sync.Options.Retry | false | nil
---@field auto_connect boolean?
---@field auto_reconnect boolean?
---@field max_reconnect_attempts integer?
---@field reconnect_delay_ms integer?
---@field max_reconnect_delay_ms integer?
---@field stable_after_ms integer?
---@field stream_retry_interval_ms integer?
---@field on_exhausted "probe" | "stop" | nil
---@field strict boolean?
---@field heartbeat_interval_ms integer?
---@field idle_timeout_ms "auto" | integer | nil
---@field connect_timeout_ms integer?
---@field event_history_limit integer?
---@field max_event_bytes integer?
---@field queue_limit integer?
---@field duplicate_window integer?
---@field gap_ids "auto" | "dense" | "opaque" | nil what the ids of the stream are taken for, default "auto"
---@field headers table<string, string | number> | (fun(): table<string, string | number>?) | nil
---@field token string | (fun(): token: string?, ttl_ms: number?) | nil ttl_ms: how long the token is good for; nil: without end
---@field method string?
---@field body string?
---@field max_redirects integer?
---@field proxy string? "": none, whatever the environment says
---@field no_proxy string?
---@field resolve table<string, string>? host name to address
---@field unix_socket string?
---@field http_version "1.1" | "2" | nil
---@field accept_encoding string?
---@field decode "order" | "json" | "none" | (fun(text: string, event: sync.Event): sync.Decoded?) | nil
---@field fields sync.Options.Fields?
---@field tls sync.Options.Tls?
---@field profile "development" | "production" | nil
---@field log (fun(level: "info" | "warn" | "error", message: string, fields: table))?

-- ---- handlers ------------------------------------------------------------------------------------------------------

---What subscribing gives. Calling it cancels it.
---@class sync.Subscription
---@field delivered integer how many events it got
---@overload fun()
local Subscription = {}

---Ends it. Safe anywhere, its own handler included; again does nothing.
function Subscription:cancel() end

---The events of the history that it is for, oldest first.
---@return sync.Event[]
function Subscription:events() end

---@return sync.Event?
function Subscription:latest() end

---What listening to states, health, errors and comments gives. Calling it cancels it.
---@class sync.Listener
---@overload fun()
local Listener = {}

---Ends it. Safe anywhere, its own function included; again does nothing.
function Listener:cancel() end

---What auto_refresh and on_dashboard give. Calling it cancels it.
---@class sync.Refresher
---@overload fun()
local Refresher = {}

---Ends it. Safe inside the function itself; again does nothing.
function Refresher:cancel() end

---What on_overdue gives. Calling it cancels it.
---@class sync.Watch
---@overload fun()
local Watch = {}

---Ends it; again does nothing.
function Watch:cancel() end

---What optimistic gives.
---@class sync.Promise
---@field order_id string
---@field patch table
---@field state "pending" | "committed" | "rolled_back" | "settled" settled: the server has spoken
local Promise = {}

---It has been done, as far as this program knows: the book goes on showing it until the server speaks.
function Promise:commit() end

---It has not: the book shows what the server said last.
function Promise:rollback() end

---@class sync.AttachOptions
---@field budget_ms number? how long a step may hold the host's loop; default 1

---What an adapter's attach gives: `require "sync.luv"`, `"sync.cqueues"`, `"sync.copas"`. See docs/hosts.md.
---@class sync.Attachment
local Attachment = {}

---Takes the module out of the host's loop; clients stay open and can be attached again. Again does nothing.
function Attachment:detach() end

-- ---- client --------------------------------------------------------------------------------------------------------

---@class sync.Client
local Client = {}

---Calls `fn` for every order event, or for those that `filter` means.
---@param fn fun(event: sync.Event)
---@param filter sync.Filter?
---@return sync.Subscription?
---@return string? message
---@return sync.Code? code CLOSED
function Client:subscribe(fn, filter) end

---Calls `fn` for every event of an order, or of several.
---@param order_id sync.Texts
---@param fn fun(event: sync.Event)
---@return sync.Subscription?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_order(order_id, fn) end

---Calls `fn` for every event of a type, or of several. `connected` and `heartbeat` are heard only this way.
---@param event_type sync.Texts
---@param fn fun(event: sync.Event)
---@return sync.Subscription?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_event(event_type, fn) end

---Calls `fn` when an order, or one of several, changes its stage; with `step`, only from and to these stages. `previous` is
---what the event says, or else what the order book knew.
---@param order_id sync.Texts
---@param fn fun(event: sync.Event, previous: string?, new: string?)
---@param step {from: sync.Texts?, to: sync.Texts?}?
---@return sync.Subscription?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_stage_change(order_id, fn, step) end

---@param fn fun(state: sync.State, previous: sync.State)
---@return sync.Listener
function Client:on_state(fn) end

---Calls `fn` at every change of the state.
---@param fn fun(health: sync.Health)
---@return sync.Listener
function Client:on_health(fn) end

---@param fn fun(problem: sync.Error)
---@return sync.Listener
function Client:on_error(fn) end

---@param fn fun(text: string)
---@return sync.Listener
function Client:on_comment(fn) end

---The next order event; handlers that want it run first.
---@param timeout_ms integer? nil: as long as it takes
---@return sync.Event?
---@return string? message
---@return sync.Code? code TIMEOUT, CLOSED
function Client:next(timeout_ms) end

---`for event in client:stream() do`: every order event, until the client is closed.
---@return fun(): sync.Event?
function Client:stream() end

---How it is, now; no I/O.
---@return sync.Health
function Client:health() end

---@return sync.Metrics
function Client:metrics() end

---The latest events, oldest first; `event_history_limit` of them are kept.
---@param filter sync.Filter?
---@return sync.Event[]
function Client:events(filter) end

---@param filter sync.Filter?
---@return sync.Event?
function Client:latest(filter) end

---The latest known state of an order; a table of the caller's own. nil: not known.
---@param order_id string
---@return sync.Order?
function Client:order(order_id) end

---The orders that a filter means, the most recently changed first unless `sort` says otherwise.
---@param filter sync.OrderFilter?
---@return sync.Order[]
function Client:orders(filter) end

---Shows `patch` in the book at once, over what the server has said of the order, until it says something new.
---@param order_id string
---@param patch table
---@return sync.Promise?
---@return string? message
---@return sync.Code? code CLOSED
function Client:optimistic(order_id, patch) end

---Calls `fn` after every poll. Where nothing is configured to poll, `fn` itself is the poll: it is called at the interval
---for as long as the stream is away.
---@param fn fun(report: sync.PollReport)
---@param interval_ms integer? the polling interval from now on
---@return sync.Listener?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_poll(fn, interval_ms) end

---Polls now and at the interval, whatever the stream does, until stop_polling().
---@return true?
---@return string? message
---@return sync.Code? code CLOSED; OPTION: there is nothing to poll
function Client:start_polling() end

---Polls no more, not even while the stream is away, until start_polling() or connect().
---@return true?
---@return string? message
---@return sync.Code? code CLOSED; OPTION: there is nothing to poll
function Client:stop_polling() end

---The gaps in the stream that are known of, the oldest first; `{ open = true }`: those that nothing has closed yet.
---@param filter {open: boolean?}?
---@return sync.Gap[]?
---@return string? message
---@return sync.Code? code CLOSED
function Client:gaps(filter) end

---Calls `fn` when a gap opens, and again when it closes.
---@param fn fun(gap: sync.Gap)
---@return sync.Listener?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_gap(fn) end

---Closes an open gap that nothing else will; false: there is no open one of this number. What is missing stays so.
---@param number integer 0: those for which there was no memory
---@return boolean?
---@return string? message
---@return sync.Code? code CLOSED
function Client:give_up_gap(number) end

---Calls `fn` once for every burst of events of an order, of several or of any ("*"), when it has been quiet for
---debounce_ms (1000) but not later than max_wait_ms (5 x debounce_ms), and after every poll. Never two calls at once; one
---that fails (raises, or gives nil or false and a message) is tried again with backoff. `fn` may yield.
---@param order_id sync.Texts
---@param fn fun(news: sync.RefreshNews): any
---@param options sync.RefreshOptions?
---@return sync.Refresher?
---@return string? message
---@return sync.Code? code CLOSED
function Client:auto_refresh(order_id, fn, options) end

---Calls `fn` at once, and then as auto_refresh does for any order event, poll or resync.
---@param fn fun(news: sync.RefreshNews): any
---@param options sync.RefreshOptions? but event_types and enabled
---@return sync.Refresher?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_dashboard(fn, options) end

---Calls `fn` for a step that the order's declared life does not have. See the options `stages` and `violations`.
---@param fn fun(violation: sync.Violation)
---@return sync.Listener?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_violation(fn) end

---Calls `fn` once for every order that stays in a stage for longer than `after_ms`.
---@param overdue {stage: string, after_ms: integer}
---@param fn fun(order_id: string, stage: string, since: integer)
---@return sync.Watch?
---@return string? message
---@return sync.Code? code CLOSED
function Client:on_overdue(overdue, fn) end

---Acknowledges an event; false: it was acknowledged before. With `ack = "manual"` it is done by that, and so is, whatever
---`ack` says, an event that next() gave.
---@param event sync.Event
---@return boolean?
---@return string? message
---@return sync.Code? code CLOSED, NO_MEMORY
function Client:ack(event) end

---Acknowledges the events of the history that a filter means; how many it were.
---@param filter sync.Filter?
---@return integer?
---@return string? message
---@return sync.Code? code CLOSED
function Client:ack_all(filter) end

---The events of the history that have not been acknowledged, oldest first.
---@param filter sync.Filter?
---@return sync.Event[]
function Client:unacknowledged(filter) end

---Calls `fn(event, effect)` unless the effect `name` of this event has happened, in this process or in one before it. true:
---`fn` has run; false: there was no need. When `fn` raises, the effect has not happened, and the error goes on.
---@param event sync.Event
---@param name string
---@param fn fun(event: sync.Event, effect: sync.Effect)
---@return boolean?
---@return string? message
---@return sync.Code? code NO_JOURNAL, NO_MEMORY, CLOSED
function Client:once(event, name, fn) end

---The events that handlers could not do, the oldest first.
---@return sync.DeadLetter[]?
---@return string? message
---@return sync.Code? code NO_JOURNAL, CLOSED, or why the journal cannot be read
function Client:dead_letters() end

---Delivers a dead letter again, or all of them.
---@param letter sync.DeadLetter | integer | nil nil: all
---@return true?
---@return string? message
---@return sync.Code? code NO_JOURNAL, CLOSED, or why the journal cannot be written
function Client:redeliver(letter) end

---Forgets a dead letter: its event counts as done.
---@param letter sync.DeadLetter | integer
---@return true?
---@return string? message
---@return sync.Code? code NO_JOURNAL, CLOSED, NO_MEMORY
function Client:forget(letter) end

---What the stream and polls disagree on, in mode `compare`; no I/O.
---@return sync.DriftReport?
---@return string? message
---@return sync.Code? code OPTION: nothing has been compared
function Client:drift() end

---Whether the stream can be trusted alone: it was compared for so many hours (24) and events (1000) without a difference.
---@param enough {hours: number?, events: integer?}?
---@return boolean? ready
---@return string[] | string | nil doubts why not; with nil, a message
---@return sync.Code? code OPTION, CLOSED
function Client:ready_to_switch(enough) end

---Opens the stream if it is neither open nor opening; with options, configures it first.
---@param options sync.Options?
---@return true?
---@return string? message
---@return sync.Code? code
function Client:connect(options) end

---Drops the stream and stays away until connect(); subscriptions and history stay.
---@return true?
---@return string? message
---@return sync.Code? code CLOSED
function Client:disconnect() end

---Opens the stream anew at once: a wait, or having given up, is skipped.
---@return true?
---@return string? message
---@return sync.Code? code CLOSED
function Client:reconnect() end

---The machine is on another network, or was cut off: what is open, being opened or waited for is opened anew at once, on
---a connection of its own, and so is a stream that had been given up. A client that was told to stay away does.
---@return true?
---@return string? message
---@return sync.Code? code CLOSED
function Client:network_changed() end

---Changes options. What changes the request reconnects an open stream.
---@param options sync.Options
---@return true?
---@return string? message
---@return sync.Code? code URL, OPTION, HEADER, CLOSED
function Client:configure(options) end

---Ends the client at once; again does nothing. Inside a handler that counts as its return: with a journal the event under
---way is done; what is undelivered comes first of all to the next client that opens it.
---@return true
function Client:close() end

-- ---- module --------------------------------------------------------------------------------------------------------

---@class sync
---@field _VERSION string "ordersync MAJOR.MINOR.PATCH"
---@field null lightuserdata JSON null: NULL, equal to cjson.null and ngx.null
---@field codes table<sync.Code, {text: string, hint: string, class: sync.Class, retryable: boolean}>
---@field stages table the life of an order as the existing server knows it; see the option `stages`
local sync = {}

---Makes a client; the connection is made while the loop runs. The first open client is the default one.
---@param options sync.Options | string options, or just the url
---@return sync.Client?
---@return string? message
---@return sync.Code? code URL, OPTION, HEADER, NO_MEMORY, FORKED
function sync.connect(options) end

---Steps until every client is closed, or sync.stop().
---@return true?
---@return string? message
---@return sync.Code? code FORKED
function sync.run() end

---Ends sync.run() after the handler under way.
function sync.stop() end

---Does what is due, waiting up to `timeout_ms` for something to do, and runs handlers.
---@param timeout_ms integer? default 0
---@param budget_ms number? bounds the time spent on what arrives, handlers included
---@return true?
---@return string? message
---@return sync.Code? code FORKED
function sync.step(timeout_ms, budget_ms) end

---One descriptor to wait on: readable means, call sync.step(0).
---@return integer
function sync.fd() end

---How long the loop may be left alone: 0 when something is ready, -1 when only the descriptor matters.
---@return integer
function sync.timeout_ms() end

-- Methods of the default client, as functions. They raise when no client is open.

---@param fn fun(event: sync.Event)
---@param filter sync.Filter?
---@return sync.Subscription
function sync.subscribe(fn, filter) end

---@param order_id sync.Texts
---@param fn fun(event: sync.Event)
---@return sync.Subscription
function sync.on_order(order_id, fn) end

---@param event_type sync.Texts
---@param fn fun(event: sync.Event)
---@return sync.Subscription
function sync.on_event(event_type, fn) end

---@param order_id sync.Texts
---@param fn fun(event: sync.Event, previous: string?, new: string?)
---@param step {from: sync.Texts?, to: sync.Texts?}?
---@return sync.Subscription
function sync.on_stage_change(order_id, fn, step) end

---@param fn fun(state: sync.State, previous: sync.State)
---@return sync.Listener
function sync.on_state(fn) end

---@param fn fun(health: sync.Health)
---@return sync.Listener
function sync.on_health(fn) end

---@param fn fun(problem: sync.Error)
---@return sync.Listener
function sync.on_error(fn) end

---@param fn fun(text: string)
---@return sync.Listener
function sync.on_comment(fn) end

---@param timeout_ms integer?
---@return sync.Event?
---@return string?
---@return sync.Code?
function sync.next(timeout_ms) end

---@return fun(): sync.Event?
function sync.stream() end

---@return sync.Health
function sync.health() end

---@return sync.Metrics
function sync.metrics() end

---@param filter sync.Filter?
---@return sync.Event[]
function sync.events(filter) end

---@param filter sync.Filter?
---@return sync.Event?
function sync.latest(filter) end

---@param order_id string
---@return sync.Order?
function sync.order(order_id) end

---@param filter sync.OrderFilter?
---@return sync.Order[]
function sync.orders(filter) end

---@param order_id string
---@param patch table
---@return sync.Promise?
---@return string?
---@return sync.Code?
function sync.optimistic(order_id, patch) end

---@param fn fun(report: sync.PollReport)
---@param interval_ms integer? the polling interval from now on
---@return sync.Listener?
---@return string?
---@return sync.Code?
function sync.on_poll(fn, interval_ms) end

---@return true?
---@return string?
---@return sync.Code?
function sync.start_polling() end

---@return true?
---@return string?
---@return sync.Code?
function sync.stop_polling() end

---@param filter {open: boolean?}?
---@return sync.Gap[]?
---@return string?
---@return sync.Code?
function sync.gaps(filter) end

---@param fn fun(gap: sync.Gap)
---@return sync.Listener?
---@return string?
---@return sync.Code?
function sync.on_gap(fn) end

---@param number integer
---@return boolean?
---@return string?
---@return sync.Code?
function sync.give_up_gap(number) end

---@param order_id sync.Texts
---@param fn fun(news: sync.RefreshNews): any
---@param options sync.RefreshOptions?
---@return sync.Refresher?
---@return string?
---@return sync.Code?
function sync.auto_refresh(order_id, fn, options) end

---@param fn fun(news: sync.RefreshNews): any
---@param options sync.RefreshOptions? but event_types and enabled
---@return sync.Refresher?
---@return string?
---@return sync.Code?
function sync.on_dashboard(fn, options) end

---@param fn fun(violation: sync.Violation)
---@return sync.Listener?
---@return string?
---@return sync.Code?
function sync.on_violation(fn) end

---@param overdue {stage: string, after_ms: integer}
---@param fn fun(order_id: string, stage: string, since: integer)
---@return sync.Watch?
---@return string?
---@return sync.Code?
function sync.on_overdue(overdue, fn) end

---@param event sync.Event
---@return boolean?
---@return string?
---@return sync.Code?
function sync.ack(event) end

---@param filter sync.Filter?
---@return integer?
---@return string?
---@return sync.Code?
function sync.ack_all(filter) end

---@param filter sync.Filter?
---@return sync.Event[]
function sync.unacknowledged(filter) end

---@param event sync.Event
---@param name string
---@param fn fun(event: sync.Event, effect: sync.Effect)
---@return boolean?
---@return string?
---@return sync.Code?
function sync.once(event, name, fn) end

---@return sync.DeadLetter[]?
---@return string?
---@return sync.Code?
function sync.dead_letters() end

---@param letter sync.DeadLetter | integer | nil
---@return true?
---@return string?
---@return sync.Code?
function sync.redeliver(letter) end

---@param letter sync.DeadLetter | integer
---@return true?
---@return string?
---@return sync.Code?
function sync.forget(letter) end

---@return sync.DriftReport?
---@return string?
---@return sync.Code?
function sync.drift() end

---@param enough {hours: number?, events: integer?}?
---@return boolean?
---@return string[] | string | nil
---@return sync.Code?
function sync.ready_to_switch(enough) end

---@return true?
---@return string?
---@return sync.Code?
function sync.reconnect() end

---@return true?
---@return string?
---@return sync.Code?
function sync.network_changed() end

---@return true?
---@return string?
---@return sync.Code?
function sync.disconnect() end

---@param options sync.Options
---@return true?
---@return string?
---@return sync.Code?
function sync.configure(options) end

---@return true
function sync.close() end

-- luacheck: pop
return sync
