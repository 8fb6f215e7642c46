-- Gives every error the one shape, whoever made it: a service, the transcoder, auth, or Envoy itself.
-- First in the chain, so that it sees every answer last.

local HTTP_STATUS_HEADER = "x-penstock-http-status"
-- What a service may answer with instead of 200, and the headers that do not go with it: those of a body where it is empty,
-- and its length where there can be none (RFC 9110, 8.6). 204 stands for a stream on which nothing will come: the client need
-- not take it up again. From 400 on they stand before a page for people, in place of an error for programs.
local CHOSEN = {
  ["204"] = { "content-type", "content-length" },
  ["206"] = {},
  ["302"] = { "content-type" },
  ["304"] = { "content-type", "content-length" },
  ["400"] = {}, ["403"] = {}, ["404"] = {}, ["429"] = {}, ["503"] = {}, ["504"] = {},
}
local GRPC_HEADERS = { "grpc-status", "grpc-message", "grpc-accept-encoding", "grpc-status-details-bin" }
-- How the catch-all route's answer begins; the path follows.
local UNKNOWN_PATH = "no route of the API has the path "
-- By the numbers of google.rpc.Code, from 1.
local NAMES = { "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
  "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED" }
-- The reason of an error that brings none, by its status.
local REASONS = { INVALID_ARGUMENT = "INVALID_ARGUMENT", OUT_OF_RANGE = "INVALID_ARGUMENT",
  DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED", NOT_FOUND = "ROUTE_NOT_FOUND", PERMISSION_DENIED = "PERMISSION_DENIED",
  RESOURCE_EXHAUSTED = "RATE_LIMITED", UNIMPLEMENTED = "UNIMPLEMENTED", UNAVAILABLE = "UNAVAILABLE",
  UNAUTHENTICATED = "UNAUTHENTICATED" }
-- What Envoy's own answers mean; their texts speak of Envoy and are not handed on.
local OWN = {
  [400] = { "INVALID_ARGUMENT", "BAD_REQUEST", "the HTTP request is malformed: its line, a header or its encoding" },
  [401] = { "UNAUTHENTICATED", "UNAUTHENTICATED", "send an API key as Authorization: Bearer … or as X-API-Key" },
  [403] = { "PERMISSION_DENIED", "PERMISSION_DENIED", "this is not allowed" },
  [404] = { "NOT_FOUND", "ROUTE_NOT_FOUND", "no route of the API has this path" },
  [408] = { "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the request did not arrive in time; send it again" },
  [413] = { "INVALID_ARGUMENT", "TOO_LARGE", TOO_LARGE, { limit_bytes = tostring(MAX_BODY_BYTES) } },
  [426] = { "INVALID_ARGUMENT", "BAD_REQUEST", "this HTTP version is not spoken here; use HTTP/1.1 or HTTP/2" },
  [429] = { "RESOURCE_EXHAUSTED", "RATE_LIMITED", "more calls than the limit allows; try again later" },
  [431] = { "INVALID_ARGUMENT", "BAD_REQUEST", "the request's headers are too large" },
  [500] = { "INTERNAL", "INTERNAL", "an internal error occurred; report it with the X-Request-Id of this answer" },
  [501] = { "UNIMPLEMENTED", "UNIMPLEMENTED", "this is not offered" },
  [503] = { "UNAVAILABLE", "UNAVAILABLE", "a part of Penstock is away; try again in a moment" },
  [504] = { "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the call took longer than its deadline; try again" },
}
OWN[502] = OWN[503]

local function own_error(http)
  local own = OWN[http] or OWN[http < 500 and 400 or 500]
  return error_body(http, own[1], own[2], own[3], own[4])
end

-- What a service said, as the transcoder has put it: {"code": …, "message": …, "details": […]}.
local function from_service(text, http)
  local number, rest = match(text, '^{"code":(%d+)(.*)}$')
  local status = number and NAMES[tonumber(number)]
  if not status then return nil end
  if status == "CANCELLED" then
    return own_error(503), 503 -- a service that stops drops calls so; a client that had canceled would not hear of it
  end
  if status == "RESOURCE_EXHAUSTED" and find(rest, "^,\"message\":\"[^\"]*larger than max") then
    return own_error(413), 413 -- gRPC's limit on a message: the same to a caller as ours on a body
  end
  rest = gsub(rest, ',"details":%[%]$', "")
  if not find(rest, '"message":', 1, true) then rest = ',"message":"no more is known"' .. rest end
  if not find(rest, '"@type":"type.googleapis.com/google.rpc.ErrorInfo"', 1, true) then
    if http >= 500 then return own_error(http) end -- gRPC's or Envoy's own words: of sockets and streams
    local reason = REASONS[status] or "INTERNAL"
    local info = error_info(reason) .. "," .. help(reason)
    if find(rest, '"details":[', 1, true) then
      rest = gsub(rest, '"details":%[', function(start) return start .. info .. "," end, 1)
    else
      rest = rest .. ',"details":[' .. info .. "]"
    end
  end
  rest = gsub(rest, '("domain":"penstock%.dev")}', '%1,"metadata":{}}')
  return '{"error":{"code":' .. http .. ',"status":"' .. status .. '"' .. rest .. "}}"
end

-- What is left to the transcoder to find, after all the checks before it. Its words name the field, and are plain.
local function from_transcoder(text)
  return error_body(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", (gsub(text, "[^\32-\126]+", " ")))
end

local function from_route(text)
  return error_body(404, "NOT_FOUND", "ROUTE_NOT_FOUND", text, { path = sub(text, #UNKNOWN_PATH + 1) })
end

local function from_envoy(text, http)
  if http == 400 and text ~= "" and text ~= "Bad Request" then return from_transcoder(text) end
  if http == 429 then return error_body(http, OWN[http][1], OWN[http][2], text, { scope = "address" }) end
  if http == 404 and sub(text, 1, #UNKNOWN_PATH) == UNKNOWN_PATH then return from_route(text) end
  return own_error(http)
end

local function is_shaped(text)
  return find(text, '^%s*{%s*"error"%s*:%s*{') ~= nil
end

-- What comes so is meant as it is: Envoy's own words are plain text.
local function is_page(headers)
  local media = header(headers, "content-type") or ""
  return find(media, "^application/json") ~= nil or find(media, "^text/html") ~= nil
end

-- Each worker has a Lua state of its own, and without this all of them would draw the same numbers.
math.randomseed(os.time() + (tonumber(match(tostring({}), "0x(%x+)"), 16) or 0) % 0x7fffffff)

-- What gRPC cannot read in these would spoil the connection to a service for all who share it (see `envoy.py`); without them
-- a call has the gateway's own deadline, and its message is not unfolded.
local CODINGS = { identity = true, gzip = true, deflate = true }

local function remove_unreadable(headers)
  local timeout, coding = header(headers, "grpc-timeout"), header(headers, "grpc-encoding")
  if timeout and (#timeout > 9 or not find(timeout, "^%d+[HMSmun]$")) then headers:remove("grpc-timeout") end
  if coding and not CODINGS[coding] then headers:remove("grpc-encoding") end
end

-- A client's request id is kept only if it is well formed: 1 to 128 of letters, digits and ._:-
function envoy_on_request(handle)
  local headers = handle:headers()
  remove_unreadable(headers)
  note_route(handle, headers)
  note_origin(handle, headers)
  local id = header(headers, "x-request-id")
  if id and (#id > 128 or find(id, "[^%w._:-]")) then
    headers:replace("x-request-id", format("%s-%08x", tostring(handle:timestamp()), math.random(0, 0x7fffffff)))
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  tell_deprecated(handle, headers)
  share_with_origin(handle, headers)
  if is_grpc(header(headers, "content-type")) then return end
  for _, name in ipairs(GRPC_HEADERS) do headers:remove(name) end -- the transcoder leaves them behind
  local http = tonumber(header(headers, ":status"))
  if http < 400 then
    local chosen = header(headers, HTTP_STATUS_HEADER)
    if CHOSEN[chosen] then
      headers:replace(":status", chosen)
      for _, name in ipairs(CHOSEN[chosen]) do headers:remove(name) end
    end
    return
  end
  http = tonumber(header(headers, HTTP_STATUS_HEADER)) or http
  local body = handle:body(true) -- waits for all of it; what was taken from the handle before is void now
  headers = handle:headers()
  local length = body:length()
  local text = length > 0 and body:getBytes(0, length) or ""
  local shaped
  if not is_shaped(text) then
    local status
    shaped, status = from_service(text, http)
    http = status or http
    if not shaped and not is_page(headers) then shaped = from_envoy(text, http) end
  end
  if shaped then
    body:setBytes(shaped)
    headers:replace("content-length", tostring(#shaped))
    headers:replace("content-type", "application/json")
  end
  headers:replace(":status", tostring(http))
  if http == 503 and not header(headers, "retry-after") then headers:add("retry-after", "1") end
end
