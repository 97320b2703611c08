std = "lua54"
max_line_length = 120
files["spec"].std = "+busted"
files["bindings/meta"].ignore = { "212", "241" } -- declarations: their arguments are not used
