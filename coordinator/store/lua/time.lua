-- What time it is, in milliseconds since 1970, where a key is.
-- KEYS: near (any: by it a cluster knows whom to ask)
-- ARGV: (none)
local _ = key.near
return digits(clock())
