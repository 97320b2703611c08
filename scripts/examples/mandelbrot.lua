-- mandelbrot.lua: a picture that all cores paint: shmlua -j auto mandelbrot.lua [--size N] [--iterations N]
-- [--output FILE]. Every worker takes rows out of one channel and writes their pixels into one shared array. The
-- first worker also shows how far they are, waits for the others, and writes the picture: PNG, or PPM by its name.
local shm = require "shm"

if not shm.worker then
  io.stderr:write("Run it with: shmlua -j auto ", arg[0], "\n")
  os.exit(1)
end
local arena, is_first = shm.worker.arena, shm.worker.index == 1

local options = { size = 768, iterations = 400, output = "mandelbrot.png" }
for i = 1, #arg, 2 do
  local name = arg[i]:match("^%-%-(%l+)$")
  local value = arg[i + 1]
  if name ~= "output" then value = math.tointeger(tonumber(value)) end
  local valid = name and options[name] and value and (name == "output" or value >= 1 and value <= 4096)
  if not valid then
    if is_first then
      io.stderr:write("usage: shmlua -j N mandelbrot.lua [--size PIXELS] [--iterations N] [--output FILE.png]\n",
        "sizes and iterations are 1 to 4096\n")
    end
    os.exit(not is_first) -- who fails ends the group, and it may be before that is said
  end
  options[name] = value
end
local width, height, limit = options.size, (options.size * 2 + 2) // 3, options.iterations

-- What the workers share: who comes first makes it, the others find it.
local pixels = assert(arena:array("pixels", "u8", width * height * 3))
local rows = assert(arena:channel("rows", "64K"))
local done = assert(arena:array("done", "u32", 1)) -- rows that are painted
local started = assert(arena:barrier("started", shm.worker.count))

local function now()
  local file <close> = io.open("/proc/uptime") -- seconds of the clock on the wall; os.clock has this process's
  return file:read("n")
end

-- How often z = z^2 + c can be taken before it leaves the circle of radius 2; nil for never.
local function escape(x, y)
  local a, b = 0.0, 0.0
  for n = 1, limit do
    local aa, bb = a * a, b * b
    if aa + bb > 16.0 then return n + 1 - math.log(math.log(aa + bb) / 2, 2) end -- smooth, between whole steps
    a, b = aa - bb + x, 2.0 * a * b + y
  end
end

local palette = {}
for i = 0, 1023 do
  local t = i / 1024 * 2 * math.pi
  palette[i] = { math.floor(128 + 127 * math.sin(t + 4.0)), math.floor(128 + 127 * math.sin(t + 4.7)),
    math.floor(128 + 127 * math.sin(t + 5.5)) }
end

local function paint(row)
  local colours, n = {}, 0
  local y = (row - 0.5 - height / 2) / height * 2.3
  for column = 1, width do
    local steps = escape((column - 0.5 - width / 2) / height * 2.3 - 0.65, y)
    local colour = steps and palette[math.floor(steps ^ 0.5 * 110) % 1024]
    for part = 1, 3 do
      n = n + 1
      colours[n] = colour and colour[part] or 0
    end
  end
  local first = (row - 1) * width * 3 + 1
  pixels:sub(first, first + n - 1):copy(colours)
  done:fetch_add(1, 1)
  done:notify(1)
end

local begun, shown = now(), 0

local function show()
  local time = now()
  local count = done:load(1)
  if time - shown < 0.1 and count < height then return end
  shown = time
  local seconds = math.max(time - begun, 0.01)
  local bar = ("#"):rep(count * 40 // height)
  io.stderr:write(("\r[%-40s] %d/%d rows, %.0f a second, %.0f s left "):format(bar, count, height, count / seconds,
    (height - count) / math.max(count / seconds, 0.01)))
end

-- A PNG whose rows are not compressed much: zlib's stored blocks, or packed by whoever reads it.
local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ c >> 1 or c >> 1 end
  crc_table[i] = c
end

local function chunk(kind, data)
  local crc = 0xffffffff
  for at = 1, #kind + #data do
    local byte = at <= #kind and kind:byte(at) or data:byte(at - #kind)
    crc = crc_table[(crc ~ byte) & 255] ~ crc >> 8
  end
  return string.pack(">I4", #data) .. kind .. data .. string.pack(">I4", crc ~ 0xffffffff)
end

local function png(lines)
  local blocks, a, b = { "\x78\x01" }, 1, 0
  for i, line in ipairs(lines) do
    line = "\0" .. line -- no filter
    blocks[#blocks + 1] = string.pack("<BI2I2", i == #lines and 1 or 0, #line, #line ~ 0xffff) .. line
    for at = 1, #line do
      a = (a + line:byte(at)) % 65521
      b = (b + a) % 65521
    end
  end
  blocks[#blocks + 1] = string.pack(">I4", b << 16 | a)
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", string.pack(">I4I4BBBBB", width, height, 8, 2, 0, 0, 0))
    .. chunk("IDAT", table.concat(blocks)) .. chunk("IEND", "")
end

local function write()
  local lines = {}
  for row = 1, height do
    local first = (row - 1) * width * 3 + 1
    local bytes = pixels:sub(first, first + width * 3 - 1):totable()
    for at = 1, #bytes do bytes[at] = string.char(bytes[at]) end
    lines[row] = table.concat(bytes)
  end
  local is_ppm = options.output:find("%.ppm$")
  local file = assert(io.open(options.output, "wb"))
  assert(file:write(is_ppm and ("P6\n%d %d\n255\n"):format(width, height) .. table.concat(lines) or png(lines)))
  assert(file:close())
end

-- A row is a message: 4 bytes or so, and all of them fit the channel.
if is_first then
  for row = 1, height do assert(rows:send(row)) end
  rows:finish()
end
started:wait()
begun = now()
local terminal = is_first and os.execute("test -t 2")
for row in rows:messages() do
  paint(row)
  if terminal then show() end
end
if is_first then
  local count = done:load(1)
  while count < height do
    done:wait(1, count, 0.1)
    count = done:load(1)
    if terminal then show() end
  end
  local seconds = now() - begun
  if terminal then show() io.stderr:write("\n") end
  write()
  print(("%d x %d pixels, %d workers, %.2f s: %s"):format(width, height, shm.worker.count, seconds, options.output))
end
