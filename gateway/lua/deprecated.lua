-- What a request uses that is deprecated: noted where it is found, told by its answer (RFC 9745, RFC 8594, RFC 8288).

-- The deprecated fields that a walk has found, by their names in DEPRECATIONS; each walk begins with none.
local used

-- Notes them beside the request, for its answer and for the access log. Not later than it is refused: nothing runs after that.
local function note_used(handle)
  for name in pairs(used) do handle:streamInfo():dynamicMetadata():set(DEPRECATED, name, true) end
end

-- The path to use instead, with what the request's own path says, or nil where that could not stand in a header.
local function successor(deprecation, path, action)
  local segments = {}
  if action ~= "" then path = sub(path, 1, -#action - 2) end
  for segment in string.gmatch(path, "[^/]+") do segments[#segments + 1] = segment end
  local parts = {}
  for index, part in ipairs(deprecation.successor) do
    parts[index] = segments[part] or part
  end
  local instead = concat(parts)
  return not find(instead, "[^%w/%%:@!$&'()*+,;=._~-]") and instead or nil
end

-- The same for the route itself.
local function note_route(handle, headers)
  local name = handle:streamInfo():routeName()
  local deprecation = DEPRECATIONS[name]
  if not deprecation then return end
  local instead = deprecation.successor
    and successor(deprecation, match(header(headers, ":path"), "^[^?]*"), ROUTES[name].action)
  handle:streamInfo():dynamicMetadata():set(DEPRECATED, name, instead or true)
end

local function earlier(one, other)
  return one and other and math.min(one, other) or one or other
end

-- Of several things the earliest days hold; each has a link of its own, with what takes its place as its title.
local function tell_deprecated(handle, headers)
  local noted = handle:streamInfo():dynamicMetadata():get(DEPRECATED)
  if not noted then return end
  local names, links, since, sunset = {}, {}, nil, nil
  for name in pairs(noted) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local deprecation = DEPRECATIONS[name]
    since, sunset = earlier(since, deprecation.since), earlier(sunset, deprecation.sunset)
    links[#links + 1] = format('<%s/deprecation>; rel="deprecation"; type="text/html"; title="%s"', DOCS_URL, deprecation.title)
    if noted[name] ~= true then links[#links + 1] = format('<%s>; rel="successor-version"', noted[name]) end
  end
  headers:replace("deprecation", format("@%d", since))
  if sunset then headers:replace("sunset", os.date("!%a, %d %b %Y %H:%M:%S GMT", sunset)) end
  headers:replace("link", concat(links, ", "))
end
