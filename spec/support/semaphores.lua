-- semaphores.lua: what the specs of semaphores share: sets that are removed at the end of a test, and processes that
-- have one.
local assert = require "luassert"
local shm = require "shm"
local process = require "spec.support.process"

local semaphores = { key = 0x5e600010 }

local opened = {}

-- shm.semaphores; the set is gone when remove_all has been called.
function semaphores.open(...)
  local set = assert(shm.semaphores(...))
  opened[#opened + 1] = set
  return set
end

function semaphores.remove_all()
  for _, set in ipairs(opened) do set:remove() end
  opened = {}
end

-- Handles of sets are dropped; the sets are not removed.
function semaphores.forget() opened = {} end

-- A process with the set as `s`, found by its id.
function semaphores.start(set, chunk)
  return process.start(process.lua,
    { "-e", ("local s = assert(require('shm').semaphores { id = %d }) %s"):format(set:stat().id, chunk) })
end

-- Waits for a process that must end well.
function semaphores.finish(worker)
  assert.equal(0, (worker:wait(60)), worker.err)
  assert.equal("", worker.err)
end

function semaphores.await(condition) assert.is_true(process.await(condition)) end

function semaphores.refused(pattern, code, ...)
  local value, message, found = ...
  assert.is_nil(value)
  assert.matches(pattern, message)
  assert.equal(code, found)
end

return semaphores
