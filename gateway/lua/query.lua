-- What the path and the query say: properly encoded, and in the query only fields of the request.

-- The field that a name such as `a.b` leads to from these fields, or nil.
local function field_at(fields, name)
  local field
  for step in string.gmatch(name, "[^.]+") do
    field = fields and fields[step]
    if not field then return nil end
    fields = field.kind == "message" and not field.repeated and not field.map and MESSAGES[field.message] or nil
  end
  return field
end

local function parameter_fault(field, value, seen, said)
  if not field then return "is not a parameter of this request; remove it or mend its spelling" end
  if said[field.name] then return "is given by the path; leave it out of the query" end
  if field.map or not ACCEPTED[field.kind] then return "cannot be given in the query" end
  if seen[field] and not field.repeated then return "is given twice" end
  seen[field] = true
  if field.deprecated then used[field.deprecated] = true end
  return value_fault(value, field)
end

-- All that is wrong with the query of a request that has these fields; `fields` is nil where nothing is known of them.
local function query_violations(query, fields, said)
  local violations, seen = {}, {}
  used = {}
  for pair in string.gmatch(query, "[^&]+") do
    local raw_name, raw_value = match(pair, "^([^=]*)=?(.*)$")
    local name, name_fault = percent_decoded((gsub(raw_name, "%+", " ")))
    local value, fault = percent_decoded((gsub(raw_value, "%+", " ")))
    if not name then
      violations[#violations + 1] = { field = "", description = "a name in the query " .. name_fault }
    else
      if value and fields then fault = parameter_fault(field_at(fields, name), value, seen, said) end
      if fault then violations[#violations + 1] = { field = name, description = fault } end
    end
    if #violations >= MAX_VIOLATIONS then break end
  end
  return violations
end

-- What is left of a query without what is no field of the request, in the order and the encoding in which it came.
local function known_query(query, fields)
  local kept = {}
  for pair in string.gmatch(query, "[^&]+") do
    local name = percent_decoded((gsub(match(pair, "^[^=]*"), "%+", " ")))
    if name and field_at(fields, name) then kept[#kept + 1] = pair end
  end
  return concat(kept, "&")
end

-- The fields that the path gives, by their JSON names, and all that is wrong with the path.
-- `names` has the name of the field that a segment stands for, alone or after others, by the segment's place.
local function path_fields(path, names, action)
  local said, violations, place = {}, {}, 0
  if action and #action > 0 and sub(path, -#action - 1) == ":" .. action then path = sub(path, 1, -#action - 2) end
  for segment in string.gmatch(path, "[^/]+") do
    place = place + 1
    local name = names and names[place]
    local plain, fault = percent_decoded(segment)
    if plain and find(plain, "/", 1, true) then fault = "holds a slash (%2F)" end
    if fault then
      violations[#violations + 1] = { field = name or "", description = (name and "" or "the path ") .. fault }
    elseif name then
      said[name] = said[name] and said[name] .. "/" .. plain or plain
    end
  end
  return said, violations
end
