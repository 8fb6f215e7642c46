-- Refuses what is no well-formed request of the contract, or has another body than was signed. Runs after ext_authz: who
-- has no key learns nothing else.

local VERSION = "^v1$"
local MINOR_VERSION = "^v1%.%d%d?%d?$"

local function refuse(handle, code, reason, message, options)
  options = options or {}
  handle:respond(
    { [":status"] = tostring(code), ["content-type"] = "application/json" },
    error_body(code, "INVALID_ARGUMENT", reason, message, options.metadata, options.violations)
  )
end

-- Of a signed request that is not what was signed: nobody vouches for it then.
local function refuse_unsigned(handle, message)
  handle:respond(
    { [":status"] = "401", ["content-type"] = "application/json", ["www-authenticate"] = "Bearer" },
    error_body(401, "UNAUTHENTICATED", "UNAUTHENTICATED", message)
  )
end

local function refuse_fields(handle, violations)
  local parts = {}
  for index, violation in ipairs(violations) do
    parts[index] = (violation.field ~= "" and violation.field .. ": " or "") .. violation.description
  end
  refuse(handle, 400, "INVALID_ARGUMENT", concat(parts, "; "), { violations = violations })
end

-- Whether the body's type is JSON in UTF-8, not compressed.
local function is_json(headers)
  local media, parameters = match(lower(header(headers, "content-type") or ""), "^%s*([^;%s]*)%s*(.*)$")
  local charset = match(parameters, ";%s*charset%s*=%s*\"?([^\";%s]*)")
  local coding = header(headers, "content-encoding")
  return media == "application/json" and (not charset or charset == "utf-8")
    and (not coding or lower(coding) == "identity")
end

-- Only what can be shown: a header's bytes need not be UTF-8.
local function shown(value)
  return (gsub(sub(value, 1, 100), "[^\32-\126]", "?"))
end

local function refuse_media_type(handle, headers)
  local given, coding = shown(header(headers, "content-type") or ""), header(headers, "content-encoding")
  if coding then given = given .. "; content-encoding=" .. shown(coding) end
  refuse(handle, 415, "UNSUPPORTED_MEDIA_TYPE",
    format('the body has the type "%s"; send JSON in UTF-8, not compressed, as Content-Type: application/json', given),
    { metadata = { content_type = given } })
end

local function refuse_length(handle)
  refuse(handle, 413, "TOO_LARGE", TOO_LARGE, { metadata = { limit_bytes = tostring(MAX_BODY_BYTES) } })
end

-- The name of a header that holds more than ASCII, or nil. Envoy shows auth other characters in place of some of these, so
-- that one which was signed could be exchanged for another.
local function beyond_ascii(headers)
  for name, value in pairs(headers) do
    if find(value, "[\128-\255]") then return name end
  end
  return nil
end

-- Whether the body is the one that was signed; `signed` is the SHA-256 that it must have.
local function check_digest(handle, body, signed)
  if sha256(body) == signed then return true end
  if body == "" then
    refuse_unsigned(handle, "the body that was signed is missing; send it as it was signed")
  elseif signed == sha256("") then
    refuse_unsigned(handle, "this request has a body that its signature does not cover; send the body's SHA-256 as "
      .. "Content-Digest, and cover content-digest")
  else
    refuse_unsigned(handle, "the body is not the one that was signed: its SHA-256 is not that of Content-Digest")
  end
  return false
end

-- Refuses a body that is not as the route wants it, or not the one that was signed.
local function check_body(handle, route, said, signed)
  local buffer = handle:body() -- waits for all of it; what was taken from the handle before is void now
  local headers = handle:headers()
  local length = buffer and buffer:length() or 0
  if length > MAX_BODY_BYTES then return refuse_length(handle) end
  if signed and not check_digest(handle, length > 0 and buffer:getBytes(0, length) or "", signed) then return end
  if length == 0 then
    if route.within == "" then return end
    return refuse_fields(handle, { { field = route.within, description = "is the body, which is missing" } })
  end
  if route.body == "" then
    return refuse(handle, 400, "BAD_REQUEST", "this request takes no body; what it is told stands in its path and query")
  end
  if not is_json(headers) then return refuse_media_type(handle, headers) end
  local fault = body_fault(buffer:getBytes(0, length), MESSAGES[route.body], said, route.within)
  note_used(handle)
  if not fault then return end
  if fault.violations then return refuse_fields(handle, fault.violations) end
  refuse(handle, 400, "INVALID_ARGUMENT", fault.message)
end

local function check(handle)
  local headers = handle:headers()
  local signed = header(headers, SIGNED_DIGEST_HEADER)
  if signed then
    headers:remove(SIGNED_DIGEST_HEADER) -- it is for this filter alone
    local name = beyond_ascii(headers)
    if name then
      return refuse_unsigned(handle, format("%s holds more than ASCII, which cannot be signed; encode it", name))
    end
  end
  if is_grpc(header(headers, "content-type")) then return end -- auth lets no signed call pass here
  local version = header(headers, "api-version")
  if version and not find(version, VERSION) and not find(version, MINOR_VERSION) then
    headers:remove("api-version") -- it would be echoed
    return refuse(handle, 400, "INVALID_ARGUMENT",
      format('the API-Version "%s" is not known; this server knows v1 and v1.N', shown(version)),
      { violations = { { field = "API-Version", description = "must be v1 or v1.N" } } })
  end
  local path, query = match(header(headers, ":path"), "^([^?]*)%??(.*)$")
  local route = ROUTES[handle:streamInfo():routeName()]
  if route and route.foreign and query ~= "" then
    query = known_query(query, MESSAGES[route.message])
    headers:replace(":path", query == "" and path or path .. "?" .. query)
  end
  local said, violations = path_fields(path, route and route.path, route and route.action)
  if query ~= "" then
    local fields = route and (route.body == "" and MESSAGES[route.message] or {})
    for _, violation in ipairs(query_violations(query, fields, said)) do violations[#violations + 1] = violation end
    note_used(handle)
  end
  if #violations > 0 then return refuse_fields(handle, violations) end
  if route then check_body(handle, route, said, signed) end
end

-- Envoy lets a request pass whose script fails; so a failure is an answer here.
function envoy_on_request(handle)
  local well, fault = pcall(check, handle)
  if well then return end
  handle:logErr("request_check_failed: " .. tostring(fault))
  handle:respond(
    { [":status"] = "500", ["content-type"] = "application/json" },
    error_body(500, "INTERNAL", "INTERNAL", "an internal error occurred; report it with the X-Request-Id of this answer")
  )
end
