-- The one shape of an error, {"error": {"code", "status", "message", "details"}} (AIP-193), and the text it is made of.

local byte, find, format, gsub, lower, match, sub, upper =
  string.byte, string.find, string.format, string.gsub, string.lower, string.match, string.sub, string.upper
local concat = table.concat

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n" }

local function escape(character)
  return ESCAPES[character] or format("\\u%04x", byte(character))
end

-- The text as a JSON string; it must be valid UTF-8.
local function quoted(text)
  return '"' .. gsub(text, '[%z\1-\31\127"\\]', escape) .. '"'
end

-- A google.rpc.ErrorInfo; metadata is a table of texts, or nil.
local function error_info(reason, metadata)
  local pairs_of_text = {}
  for key, value in pairs(metadata or {}) do
    pairs_of_text[#pairs_of_text + 1] = quoted(key) .. ":" .. quoted(value)
  end
  return '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"' .. reason
    .. '","domain":"penstock.dev","metadata":{' .. concat(pairs_of_text, ",") .. "}}"
end

-- A google.rpc.BadRequest; each violation has a field, which is its path, and a description.
local function bad_request(violations)
  local parts = {}
  for index, violation in ipairs(violations) do
    parts[index] = '{"field":' .. quoted(violation.field) .. ',"description":' .. quoted(violation.description) .. "}"
  end
  return '{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[' .. concat(parts, ",") .. "]}"
end

-- A google.rpc.Help: the page on the reason.
local function help(reason)
  return '{"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"' .. HELP_DESCRIPTION
    .. '","url":' .. quoted(DOCS_URL .. "/errors/" .. reason) .. "}]}"
end

-- The whole body; metadata is a table of texts, or nil, and violations are as `bad_request` takes them, or nil.
local function error_body(code, status, reason, message, metadata, violations)
  local details = { error_info(reason, metadata) }
  if violations then details[2] = bad_request(violations) end
  details[#details + 1] = help(reason)
  return format('{"error":{"code":%d,"status":"%s","message":%s,"details":[%s]}}',
    code, status, quoted(message), concat(details, ","))
end

local TOO_LARGE = format("the request is too large; its body may have %d bytes, and fewer where it is made of very many small "
  .. "values", MAX_BODY_BYTES)

-- Native gRPC keeps its own statuses: nothing here touches it. As Envoy tells it (`Grpc::Common::hasGrpcContentType`).
local function is_grpc(content_type)
  return content_type ~= nil and (content_type == "application/grpc" or sub(content_type, 1, 17) == "application/grpc+")
end

-- One header, or nil: `headers:get` answers with nothing at all where there is none.
local function header(headers, name)
  local value = headers:get(name)
  return value
end
