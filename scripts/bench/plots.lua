-- plots.lua: draws four pictures of what make bench has found: latency, message rate by size, dicts
-- and locks by processes, typed access. `make plots` runs it, with a folder: bench.csv is read
-- there, and the pictures are put there. Touches that folder, and gnuplot.
local results = require "scripts.bench.results"

local folder <const> = assert(arg[1], "usage: plots.lua FOLDER, in which there is a bench.csv")
local rows <const> = results.read(folder .. "/bench.csv")

-- ---- what all have in common ----

-- Seen on white as well as on black: no background, grey texts, colours of middling brightness
-- that the colour-blind can tell apart (after Okabe and Ito).
local grey <const> = "#808890"
local colours <const> = { "#0081c4", "#009e73", "#cc6fa4", "#b39200", "#7b6fd0", "#a06a3c", "#56b4e9",
  "#8fa33b", "#c0392b" }
local roles <const> = { ours = { "#e4572e", "#ef9a3d", "#f2c14e" }, limit = { grey }, floor = { grey } }

local head <const> = [[
set terminal svg size %d,%d dynamic enhanced font "Helvetica,13"
set output "%s"
set encoding utf8
set border 3 linecolor rgb "GREY"
set tics nomirror textcolor rgb "GREY"
set grid linecolor rgb "GREY" linewidth 0.3
set key textcolor rgb "GREY"
set title textcolor rgb "GREY"
set xlabel textcolor rgb "GREY"
set ylabel textcolor rgb "GREY"
]]

local function quoted(text) return '"' .. text:gsub('[\\"@^_{}&~]', "\\\\%0") .. '"' end

local function draw(name, width, height, commands)
  local path = ("%s/%s.svg"):format(folder, name)
  local gnuplot <close> = assert(io.popen("gnuplot", "w"))
  gnuplot:write((head:format(width, height, path):gsub("GREY", grey)))
  gnuplot:write((table.concat(commands, "\n"):gsub("GREY", grey)), "\n")
  print(path)
end

-- The contestants, in the order in which they are met, each with its rows and a colour.
local function contestants(found)
  local list, by_name, met = {}, {}, {}
  for _, row in ipairs(found) do
    local one = by_name[row.contestant]
    if not one then
      local palette = roles[row.is] or colours
      met[palette] = (met[palette] or 0) + 1
      one = { name = row.contestant, is = row.is, colour = palette[(met[palette] - 1) % #palette + 1] }
      by_name[row.contestant] = one
      list[#list + 1] = one
    end
    one[#one + 1] = row
  end
  return list
end

-- ---- bars: a contestant each, the fastest at the bottom of a scale of powers ----

local function bars(title, found, factor, unit)
  table.sort(found, function(a, b) return a.median > b.median end)
  local least = found[#found].median / factor
  local commands, tics, low = { "$bars << END" }, {}, 10 ^ math.floor(math.log(least, 10))
  for i, row in ipairs(found) do
    local median = row.median / factor
    commands[#commands + 1] = ("%d %g %s %s"):format(i, median,
      (roles[row.is] or colours)[1]:gsub("#", "0x"), (median < 100 and "%.3g" or "%.0f"):format(median))
    tics[i] = ("%s %d"):format(quoted(row.contestant), i)
  end
  for _, command in ipairs { "END", "set title " .. quoted(title), "set xlabel " .. quoted(unit),
    "set logscale x 10", "unset logscale y", "set format x '%g'",
    ("set xrange [%g:%g]"):format(low, 4 * found[1].median / factor),
    ("set yrange [0.4:%g]"):format(#found + 0.6), "set ytics (" .. table.concat(tics, ", ") .. ")",
    "unset key", "set style fill solid 0.85 noborder",
    ("plot $bars using 2:1:(%g):2:($1-0.36):($1+0.36):3 with boxxyerror linecolor rgb variable, \\")
      :format(low),
    "  '' using 2:1:4 with labels left offset 0.4,0 textcolor rgb 'GREY'" } do
    commands[#commands + 1] = command
  end
  return commands
end

-- ---- curves: a contestant each, over the axis ----

local function curves(title, found, axis, label, factor)
  local commands, plots = { "set title " .. quoted(title), axis, "set logscale y 10",
    "set ylabel " .. quoted(label), "set format y '%.0s %c'",
    "set key outside right top Left reverse samplen 2" }, {}
  for i, one in ipairs(contestants(found)) do
    table.sort(one, function(a, b) return a.x < b.x end)
    commands[#commands + 1] = ("$curve%d << END"):format(i)
    for _, row in ipairs(one) do
      commands[#commands + 1] = ("%g %g %g %g"):format(row.x, row.median / factor, row.low / factor,
        row.high / factor)
    end
    commands[#commands + 1] = "END"
    plots[i] = ("$curve%d using 1:2:3:4 with yerrorlines title %s linecolor rgb '%s' linewidth %g "
      .. "dashtype %d pointtype 7 pointsize 0.4"):format(i, quoted(one.name), one.colour,
      one.is == "ours" and 2.5 or 1.3, (one.is == "limit" or one.is == "floor") and 2 or 1)
  end
  commands[#commands + 1] = "plot " .. table.concat(plots, ", ")
  return commands
end

local sizes <const> = "set logscale x 2; set xlabel 'bytes in a message'; set xrange [48:1.4e6]; "
  .. "set xtics ('64 B' 64, '1 KiB' 1024, '16 KiB' 16384, '64 KiB' 65536, '1 MiB' 1048576)"
local processes <const> = "set logscale x 2; set xlabel 'processes'; set xrange [0.9:9]; "
  .. "set xtics (1, 2, 4, 8)"

-- ---- the pictures ----

local function append(to, from) table.move(from, 1, #from, #to + 1, to) end

-- Panels in so many rows and columns.
local function together(layout, ...)
  local commands = { "set multiplot layout " .. layout }
  for _, panel in ipairs { ... } do append(commands, panel) end
  commands[#commands + 1] = "unset multiplot"
  return commands
end

draw("latency", 760, 420, bars("A message of 64 bytes to another process and back",
  results.of(rows, "round trip", "64 B"), 1e-6, "microseconds (less is better)"))
draw("rate", 820, 420, curves("Messages from one process to another",
  results.of(rows, "one way"), sizes, "messages a second (more is better)", 1))
draw("processes", 820, 760, together("2,1",
  curves("A dict of 1,000 keys: get", results.of(rows, "dict get by processes, 1,000 keys"),
    processes, "gets a second, of all (more is better)", 1),
  curves("A lock that all want", results.of(rows, "lock by processes"), processes,
    "times a second, of all (more is better)", 1)))
draw("elements", 1120, 400, together("1,2",
  bars("An element of f64: get", results.of(rows, "element get", "f64"), 1e-9,
    "nanoseconds (less is better)"),
  bars("A million elements of f64: sum", results.of(rows, "sum", "1,000,000 f64"), 1e-6,
    "microseconds (less is better)")))
