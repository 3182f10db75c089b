-- Load for wrk. The plan is a Lua file that load.py writes: requests ready to send, and what an answer must contain.
--
-- plan.kind:
--   "calls"    every request over and over, each time with a new JSON-RPC id in the place of plan.placeholder: an id
--              must not be used twice in a session
--   "once"     every request once, then stop (authorization codes)
--   "refresh"  plan.tokens are refresh tokens; each answer's new one goes to the end of the line and is used in turn
--   "tasks"    calls that are answered with a task, sent with the first of plan.headers, and as soon as enough of them
--              wait, `tasks/get` for the oldest, with the second; right is an answer with its result, and one that it
--              still works sends the task to the end of the line
--
-- An answer is right if its status is 200 and it contains plan.marker; wrong ones are counted and make the run void.

local ffi = require("ffi")
ffi.cdef [[
  struct moment { long seconds; long nanoseconds; };
  int clock_gettime(int clock, struct moment *moment);
]]
local moment = ffi.new("struct moment")

local plan, requests, taken, newest, oldest, id
local threads = {}

-- Read by done(), which runs in another Lua state: hence global, and plain numbers.
right_answers, wrong_answers, wrong_status, first_sent, last_answered = 0, 0, 0, 0, 0

local function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

-- Keeps the task of an answer in line; says whether it came with its result, nil where it is no task that goes well.
local function is_done(body)
  local task = body:match('"taskId"%s*:%s*"([^"]+)"')
  if task == nil or body:find('"status"%s*:%s*"failed"') then return nil end
  if body:find('"status"%s*:%s*"completed"') and not body:find('"resultType"%s*:%s*"task"') then return true end
  newest = newest + 1
  plan.tokens[newest] = task
  return false
end

local function formatted(headers, body)
  local own = {} -- wrk.format adds to what it gets
  for name, value in pairs(headers) do own[name] = value end
  return wrk.format("POST", plan.path, own, body)
end

function setup(thread)
  table.insert(threads, thread)
end

-- A request as what stands before its id and what stands after it; ids are of one length, so nothing else changes.
local function split(text)
  local first, last = text:find(plan.placeholder, 1, true)
  return { text:sub(1, first - 1), text:sub(last + 1) }
end

function init(arguments)
  plan = dofile(arguments[1])
  requests, taken, newest, id = {}, 0, #plan.tokens, plan.first_id
  for index, body in ipairs(plan.bodies) do
    local text = formatted(plan.headers[(index - 1) % #plan.headers + 1], body)
    requests[index] = (plan.kind == "calls" or plan.kind == "tasks") and split(text) or text
  end
  oldest = 1
end

-- A request for how it is with the task that waits longest.
local function fetch()
  local task = plan.tokens[oldest]
  plan.tokens[oldest] = nil
  oldest = oldest + 1
  plan.headers[2]["Mcp-Name"] = task
  return formatted(plan.headers[2], plan.before .. task .. plan.after)
end

function request()
  if first_sent == 0 then first_sent = now() end
  if plan.kind == "tasks" and newest - oldest + 1 >= plan.waiting then return fetch() end
  taken = taken + 1
  if plan.kind == "refresh" then
    local token = plan.tokens[taken]
    if token == nil then
      wrk.thread:stop()
      token = "none-left"
    end
    plan.tokens[taken] = nil
    return formatted(plan.headers[1], plan.before .. token .. plan.after)
  end
  if taken > #requests then
    if plan.kind == "once" then wrk.thread:stop() end
    taken = 1
  end
  if plan.kind == "once" then return requests[taken] end
  id = id + 1
  return requests[taken][1] .. string.format("%d", id) .. requests[taken][2]
end

function response(status, headers, body)
  if plan.kind == "tasks" and status == 200 then
    local has_result = is_done(body)
    if has_result == false then return end
    if has_result == nil then status = 500 end
  end
  if status ~= 200 or (plan.marker and not body:find(plan.marker, 1, true)) then
    wrong_answers = wrong_answers + 1
    wrong_status = status
    return
  end
  right_answers = right_answers + 1
  if plan.kind == "calls" then return end
  last_answered = now()
  if plan.kind == "refresh" then
    local token = body:match('"refresh_token"%s*:%s*"([^"]+)"')
    if token then
      newest = newest + 1
      plan.tokens[newest] = token
    end
  end
end

function done(summary, latency)
  local thread = threads[1] -- load.py starts one
  local errors = summary.errors
  local seconds = summary.duration / 1e6
  if thread:get("last_answered") > 0 then seconds = thread:get("last_answered") - thread:get("first_sent") end
  io.write(string.format(
    '\nREPORT {"right": %d, "wrong": %d, "status": %d, "broken": %d, "bytes": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f}\n',
    thread:get("right_answers"),
    thread:get("wrong_answers"),
    thread:get("wrong_status"),
    errors.connect + errors.read + errors.write + errors.timeout,
    summary.bytes,
    seconds,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
