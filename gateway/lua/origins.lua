-- What Envoy answers from a route its CORS filter passes by: a page of a listed origin may read that all the same.

-- Where it is noted, beside the request, whose headers are gone when it is answered.
local ORIGIN = "penstock.origin"

local function note_origin(handle, headers)
  local origin = header(headers, "origin")
  if origin and ORIGINS[origin] then handle:streamInfo():dynamicMetadata():set(ORIGIN, "listed", origin) end
end

local function share_with_origin(handle, headers)
  local noted = handle:streamInfo():dynamicMetadata():get(ORIGIN)
  if not noted or header(headers, "access-control-allow-origin") then return end
  headers:add("access-control-allow-origin", noted.listed)
  headers:add("access-control-expose-headers", EXPOSED_HEADERS)
end
