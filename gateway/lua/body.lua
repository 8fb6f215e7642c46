-- Walks a JSON body (RFC 8259) once, building nothing, and says all that is wrong with it as a message of the contract.
-- Envoy's transcoder drops unknown fields silently and rounds large integers inside a Struct; so both are refused here.

-- Deeper and the service's protobuf would refuse it: a level of a Struct is three levels of messages, of which 100 may nest.
local MAX_DEPTH = 32
local MAX_VIOLATIONS = 20
local MAX_PATH_CHARACTERS = 200
-- 2^53: up to here every integer survives in a double.
local MAX_INTEGER = "9007199254740992"
-- Ends the walk when enough is known.
local ENOUGH = {}

local TYPES = { [34] = "string", [123] = "object", [91] = "array", [116] = "boolean", [102] = "boolean", [110] = "null",
  [45] = "number" }
for digit = 48, 57 do TYPES[digit] = "number" end
local ARTICLES = { string = "a string", object = "an object", array = "an array", boolean = "a boolean",
  number = "a number", null = "null" }
-- Where in the body the walk is, as the keys and indices that lead there; what was found; and what the path has said.
local trail, depth, violations, bound

local function path()
  local parts = {}
  for level = 1, depth do
    local step = trail[level]
    if type(step) == "number" then
      parts[#parts + 1] = "[" .. step .. "]"
    else
      parts[#parts + 1] = (level > 1 and "." or "") .. step
    end
  end
  local whole = concat(parts)
  if #whole <= MAX_PATH_CHARACTERS then return whole end
  return gsub(sub(whole, 1, MAX_PATH_CHARACTERS), "[\192-\255][\128-\191]*$", "") .. "…"
end

-- Notes what is wrong at the place where the walk is.
local function violate(description)
  violations[#violations + 1] = { field = path(), description = description }
  if #violations >= MAX_VIOLATIONS then error(ENOUGH, 0) end
end

-- A number that will be kept as a double.
local function after_double(position)
  local after, whole = after_number(position)
  if after - position < 16 and after == whole then return after end
  local literal = sub(text, position, after - 1)
  local number = tonumber(literal) -- none at all for an exponent of very many digits
  local digits = match(literal, "^-?(%d+)%.?0*$")
  if digits and (#digits > #MAX_INTEGER or (#digits == #MAX_INTEGER and digits > MAX_INTEGER)) then
    violate("is an integer beyond 2^53, which JSON does not keep exactly; send it as a string")
  elseif not number or math.abs(number) == math.huge then
    violate("is beyond the range of a number")
  end
  return after
end

local function descend(position)
  depth = depth + 1
  if depth > MAX_DEPTH then
    depth = depth - 1
    violate(format("nests deeper than %d levels", MAX_DEPTH))
    error(ENOUGH, 0)
  end
  return skip(position + 1)
end

-- The position behind the object at a brace; `member(position, code, key, argument, seen)` walks each value.
local function after_object(position, member, argument)
  local seen = {}
  local at, code = descend(position)
  while code ~= 125 do
    if code ~= 34 then malformed(at, "a name in quotes is missing") end
    local after, plain = after_string(at)
    local key = content(at, after, plain)
    at, code = skip(after)
    if code ~= 58 then malformed(at, "a colon is missing") end
    at, code = skip(at + 1)
    trail[depth] = key
    if seen[key] then violate("is given twice") end
    seen[key] = true
    at, code = skip(member(at, code, key, argument, seen))
    if code == 44 then
      at, code = skip(at + 1)
      if code == 125 then malformed(at, "a comma too many") end
    elseif code ~= 125 then
      malformed(at, "a comma or a closing brace is missing")
    end
  end
  depth = depth - 1
  return at + 1
end

-- The position behind the array at a bracket; `element(position, code, argument)` walks each value.
local function after_array(position, element, argument)
  local index = 0
  local at, code = descend(position)
  while code ~= 93 do
    trail[depth] = index
    index = index + 1
    at, code = skip(element(at, code, argument))
    if code == 44 then
      at, code = skip(at + 1)
      if code == 93 then malformed(at, "a comma too many") end
    elseif code ~= 93 then
      malformed(at, "a comma or a closing bracket is missing")
    end
  end
  depth = depth - 1
  return at + 1
end

-- Any JSON at all, as a Struct holds it.
local function after_any(position, code)
  if code == 34 then return (after_string(position)) end
  if code == 123 then return after_object(position, after_any) end
  if code == 91 then return after_array(position, after_any) end
  if TYPES[code] == "number" then return after_double(position) end
  return after_literal(position, code)
end

local function wrong_type(position, code, wanted)
  if not TYPES[code] then return after_literal(position, code) end
  violate("must be " .. wanted .. ", not " .. ARTICLES[TYPES[code]])
  return after_any(position, code)
end

local function after_scalar(position, code, field)
  local kind = TYPES[code]
  if not ACCEPTED[field.kind][kind] then return wrong_type(position, code, WANTED[field.kind]) end
  local after, plain, fault
  if kind == "string" then
    after, plain = after_string(position)
    fault = field.kind ~= "string" and value_fault(content(position, after, plain), field)
  else
    after = kind == "number" and after_number(position) or after_literal(position, code)
    fault = value_fault(gsub(sub(text, position, after - 1), "%.0+$", ""), field) -- 5.0 is 5, but the text "5.0" is none
  end
  if fault then violate(fault) end
  return after
end

local message_member

-- One value of a field: the field itself, or an element of it.
local function after_value(position, code, field)
  local kind = field.kind
  if kind == "message" or kind == "struct" then
    if code ~= 123 then return wrong_type(position, code, WANTED[kind]) end
    if kind == "struct" then return after_object(position, after_any) end
    return after_object(position, message_member, MESSAGES[field.message])
  elseif kind == "list" then
    if code ~= 91 then return wrong_type(position, code, WANTED[kind]) end
    return after_array(position, after_any)
  elseif kind == "any" then
    return after_any(position, code)
  end
  return after_scalar(position, code, field)
end

local function map_member(position, code, _, field)
  return after_value(position, code, field)
end

-- What the path says already, the body may only repeat.
local function check_bound(position, after, field)
  local said = bound[field.name]
  if depth == 1 and said and content(position, after, false) ~= said then
    violate(format("is %s in the path; leave it out of the body, or say the same", said))
  end
end

message_member = function(position, code, key, fields, seen)
  local field = fields[key]
  if not field then
    violate("is not a field of this request; remove it or mend its spelling")
    return after_any(position, code)
  end
  if seen[field] and seen[field] ~= key then violate(format("is another spelling of %s, which is given too", seen[field])) end
  seen[field] = key
  if code == 110 then return after_literal(position, code) end -- null is as good as left out
  if field.deprecated then used[field.deprecated] = true end
  if field.oneof then
    local other = seen[field.oneof .. "\0"]
    if other and other ~= key then violate(format("is given beside %s; give one of them", other)) end
    seen[field.oneof .. "\0"] = key
  end
  if field.map then
    if code ~= 123 then return wrong_type(position, code, "an object") end
    return after_object(position, map_member, field)
  elseif field.repeated then
    if code ~= 91 then return wrong_type(position, code, "an array") end
    return after_array(position, after_value, field)
  end
  local after = after_value(position, code, field)
  if code == 34 then check_bound(position, after, field) end
  return after
end

local function walk(fields)
  local position, code = skip(1)
  if code ~= 123 then
    if TYPES[code] then error({ message = "the body must be a JSON object, not " .. ARTICLES[TYPES[code]] }, 0) end
    malformed(position, "something that is no value")
  end
  position = skip(after_object(position, message_member, fields))
  if position <= #text then malformed(position, "something behind the end of the object") end
end

-- What is wrong with the body as a message with these fields: nil, or { message } or { violations }.
-- `said` holds the fields that the path has given, by their JSON names. `within` is the field of the request that the body
-- is, or empty: paths begin with it, as a service's do.
local function body_fault(body, fields, said, within)
  text, trail, depth, violations, bound, used = body, {}, 0, {}, said, {}
  if within ~= "" then trail, depth = { within }, 1 end
  local well, problem = pcall(walk, fields)
  local found = violations
  text, trail, violations = nil, nil, nil
  if not well and problem ~= ENOUGH then
    if type(problem) == "table" then return problem end
    error(problem, 0)
  end
  if #found > 0 then return { violations = found } end
  return nil
end
