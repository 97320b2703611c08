-- folder_spec.lua: a /dev/shm that is of no use is named, with what is wrong with it and the way out.
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local flags = uv.getuid() == 0 and "-m" or "-rm"

local script = [[
  local shm = require "shm"
  local function try(f, ...) print(select(2, f(...))) end
  try(shm.create, "/spec_folder", 100)
  try(shm.open, "/spec_folder", 100)
  try(shm.attach, "/spec_folder")
  try(shm.arena, "/spec_folder", 8192)
  try(shm.remove, "/spec_folder")
  print(shm.create(nil, 100) ~= nil, #shm.list() >= 0, shm.limits() ~= nil)]]

-- What the script says line by line, after commands in a mount namespace of its own.
local function lines(commands, text)
  local run = process.run("unshare", { flags, "--propagation", "private", "sh", "-c",
    commands .. " && exec " .. process.lua .. " -e \"$1\"", "sh", text or script })
  assert.equal("", run.err)
  local found = {}
  for line in run.out:gmatch("[^\n]+") do found[#found + 1] = line end
  return found
end

-- Another /dev with what the test needs in it.
local bare = "mkdir -p /run/shm_spec && mount -t tmpfs tmpfs /run/shm_spec && touch /run/shm_spec/null && "
  .. "mount --bind /dev/null /run/shm_spec/null && mount --move /run/shm_spec /dev && rmdir /run/shm_spec"

local way_out = "; mount a tmpfs on /dev/shm (docker: --tmpfs /dev/shm or --ipc), or use a System V key, or nil for "
  .. "anonymous memory\t"

describe("/dev/shm", function()
  before_each(function()
    if sandbox.missing then pending(sandbox.missing) end
  end)

  for what, case in pairs {
    ["does not exist"] = { bare, "this system has no /dev/shm" },
    ["is a link that leads nowhere"] = { bare .. " && ln -s /run/nosuch /dev/shm",
      "/dev/shm is a link that leads nowhere" },
    ["is no folder"] = { bare .. " && touch /dev/shm", "/dev/shm is no folder" },
  } do
    it("that " .. what .. " is named by all that need it", function()
      local said = lines(case[1])
      for i, noun in ipairs { "segment", "segment", "segment", "arena" } do
        assert.equal(noun .. ' "/spec_folder" cannot be there: ' .. case[2] .. way_out .. "ENOTSUP", said[i])
      end
      assert.is_truthy(said[5]:find(case[2], 1, true) or said[5]:find("ENO", 1, true), said[5])
      assert.equal("true\ttrue\ttrue", said[6])
    end)
  end

  it("that is mounted read-only is named, and its objects can be read", function()
    local said = lines("mount -t tmpfs tmpfs /dev/shm && printf hello > /dev/shm/spec_there && "
      .. "mount -o remount,ro /dev/shm", script .. [[
      print(select(2, shm.attach("/spec_there")))
      print(select(2, shm.remove("/spec_there")))
      local segment = assert(shm.attach("/spec_there", { readonly = true }))
      print(segment:read(), select(2, segment:remove()))]])
    for _, i in ipairs { 1, 2, 4, 5, 7, 8 } do
      assert.matches("is mounted read%-only; mount it anew %(mount %-o remount,rw /dev/shm.*\tEROFS$", said[i])
    end
    assert.matches("does not exist.*\tENOENT$", said[3])
    assert.matches("^hello\t.*is mounted read%-only;", said[9])
  end)

  it("that this user may not write to is named", function()
    if uv.getuid() ~= 0 then return pending "only root can become another user" end
    local said = lines("mount -t tmpfs tmpfs /mnt && cp " .. process.build
      .. "/shm.so /mnt && chmod 755 /mnt /mnt/shm.so"
      .. " && mount -t tmpfs -o mode=755 tmpfs /dev/shm && printf hello > /dev/shm/spec_there"
      .. " && chmod 666 /dev/shm/spec_there && cd / && export LUA_CPATH='/mnt/?.so'"
      .. " && exec setpriv --reuid 65534 --regid 65534 --clear-groups " .. process.lua .. " -e \"$1\"; true", script
        .. [[
      local segment = assert(shm.attach("/spec_there"))
      print(segment:read(), select(2, segment:remove()))]])
    for _, i in ipairs { 1, 2, 4 } do
      assert.matches("is not for this user: the mode of /dev/shm keeps him out; chmod 1777 /dev/shm, .*\tEACCES$",
        said[i])
    end
    for _, i in ipairs { 3, 5 } do assert.matches("does not exist.*\tENOENT$", said[i]) end
    assert.matches("^hello\t.*the mode of /dev/shm keeps him out; .*\tEPERM$", said[7])
  end)

  it("whose inodes are used up says so, and one whose space is used up, how much is left", function()
    local said = lines("mount -t tmpfs -o nr_inodes=3,size=64k tmpfs /dev/shm", [[
      local shm = require "shm"
      print(select(2, shm.create("/large", "128K")))
      local one, two = assert(shm.create("/one", 10)), assert(shm.create("/two", 10))
      print(select(2, shm.create("/three", 10)))
      print(select(2, one:resize("1M")))]])
    assert.equal('segment "/large" has no room: it needs 131072 bytes, and the space in /dev/shm is used up but for '
      .. "65536; remove what is not needed, or mount /dev/shm larger (docker: --shm-size)\tENOSPC", said[1])
    assert.equal('segment "/three" has no room: all 3 inodes of /dev/shm are used; remove objects, or mount /dev/shm '
      .. "with a larger nr_inodes\tENOSPC", said[2])
    assert.matches('^segment "/one" has no room: it needs 1048566 bytes, and the space .* is used up but for 57344;',
      said[3])
  end)
end)

describe("System V memory", function()
  it("that is used up is told by the limit that is in the way, and its numbers", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local run = sandbox.run("1m", "echo 1 > /proc/sys/kernel/shmmni && echo 4 > /proc/sys/kernel/shmall", [[
      local shm = require "shm"
      print(select(2, shm.create(1, 4096 * 5)))
      local one <close> = assert(shm.create(1, 4096 * 2, { owned = true }))
      print(select(2, shm.create(2, 10)))]])
    assert.equal("segment 0x00000001 needs 5 pages, and 0 of the 4 pages of System V memory (SHMALL) are used; remove "
      .. "segments, or raise /proc/sys/kernel/shmall\tENOSPC\nsegment 0x00000002 has no place: the machine has all 1 "
      .. "of its System V segments (SHMMNI); remove some, or raise /proc/sys/kernel/shmmni\tENOSPC\n", run.out, run.err)
  end)
end)
