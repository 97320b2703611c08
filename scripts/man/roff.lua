-- roff.lua: text as the macros of man(7) take it.
local roff = {}

-- What would be typographic else, so that nobody could copy it into a shell.
local straight = { ["'"] = "\\(aq", ["~"] = "\\(ti", ["^"] = "\\(ha" }

-- A text on a line of its own: nothing of it is a request.
function roff.text(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("`([^`]*)`", "\\fB%1\\fR"):gsub("|", "|\\:")
    :gsub("['~^]", straight)
  return (text:gsub("^%.", "\\&%0"):gsub("\n(%.)", "\n\\&%1"))
end

-- An argument of a macro.
function roff.quoted(text)
  return '"' .. roff.text(text):gsub('"', '\\(dq') .. '"'
end

function roff.header(title, section, what)
  return (".TH %s %s %s %s %s\n.ad l\n.nh\n"):format(title, section, '""', roff.quoted("shm " .. roff.version),
    roff.quoted(what))
end

function roff.section(title) return ".SH " .. roff.quoted(title) .. "\n" end

function roff.subsection(title) return ".SS " .. roff.quoted(title) .. "\n" end

function roff.paragraph(text) return ".PP\n" .. roff.text(text) .. "\n" end

-- What is explained, and how.
function roff.item(label, text) return ".TP\n\\fB" .. roff.text(label) .. "\\fR\n" .. roff.text(text) .. "\n" end

-- Lines as they are.
function roff.example(text) return ".PP\n.RS\n.nf\n" .. roff.text(text) .. "\n.fi\n.RE\n" end

return roff
