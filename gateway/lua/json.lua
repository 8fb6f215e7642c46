-- JSON as text (RFC 8259): where a string, a number or a literal ends. Everything after the first fault is left unread.

local SIMPLE_ESCAPES = { [34] = '"', [92] = "\\", [47] = "/", [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r",
  [116] = "\t" }

-- The body that is read.
local text

-- Ends the reading: this is no JSON.
local function malformed(position, what)
  local before = sub(text, 1, position - 1)
  local _, lines = gsub(before, "\n", "")
  local column = #match(before, "[^\n]*$") + 1
  error({ message = format("the body is not valid JSON: %s at line %d, column %d", what, lines + 1, column) }, 0)
end

-- The next position that holds no white space, and its byte.
local function skip(position)
  local code = byte(text, position)
  while code == 32 or code == 10 or code == 13 or code == 9 do
    position = position + 1
    code = byte(text, position)
  end
  return position, code
end

-- The position behind the escape at a backslash.
local function after_escape(position)
  local code = byte(text, position + 1)
  if SIMPLE_ESCAPES[code] then return position + 2 end
  local digits = code == 117 and match(text, "^%x%x%x%x", position + 2)
  if not digits then malformed(position, "an unknown escape") end
  local unit = tonumber(digits, 16)
  if unit < 0xD800 or unit > 0xDFFF then return position + 6 end
  if unit > 0xDBFF or not find(text, "^\\u[dD][c-fC-F]%x%x", position + 6) then
    malformed(position, "half of a surrogate pair")
  end
  return position + 12
end

-- The position behind the string at a quote, and whether it holds no escape. Byte by byte: LuaJIT compiles this loop,
-- and not a search for a pattern.
local function after_string(position)
  local at, plain = position + 1, true
  while true do
    local code = byte(text, at)
    if not code then malformed(position, "a string that does not end") end
    if code == 34 then return at + 1, plain end
    if code == 92 then
      plain = false
      at = after_escape(at)
    elseif code < 32 then
      malformed(at, "a control character that is not escaped")
    elseif code < 128 then
      at = at + 1
    else
      at = after_character(text, at) or malformed(at, "a byte that is not UTF-8")
    end
  end
end

local function utf8_character(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 0x40), 0x80 + code % 0x40) end
  if code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 0x1000), 0x80 + math.floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
  end
  return string.char(0xF0 + math.floor(code / 0x40000), 0x80 + math.floor(code / 0x1000) % 0x40,
    0x80 + math.floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
end

-- What the string from `position` to before `after`, quotes included, says.
local function content(position, after, plain)
  local raw = sub(text, position + 1, after - 2)
  if plain then return raw end
  raw = gsub(raw, "\\u([dD][89abAB]%x%x)\\u(%x%x%x%x)", function(high, low)
    return utf8_character(0x10000 + (tonumber(high, 16) - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00)
  end)
  return (gsub(raw, "\\(.)(%x?%x?%x?%x?)", function(kind, digits)
    if kind == "u" then return utf8_character(tonumber(digits, 16)) end
    return SIMPLE_ESCAPES[byte(kind)] .. digits
  end))
end

local function after_digits(position)
  local from, code = position, byte(text, position)
  while code and code >= 48 and code <= 57 do
    position = position + 1
    code = byte(text, position)
  end
  if position == from then malformed(position, "a digit is missing") end
  return position, code
end

-- The position behind the number, and that behind its whole part.
local function after_number(position)
  if byte(text, position) == 45 then position = position + 1 end
  local after, code = after_digits(position)
  if byte(text, position) == 48 and after > position + 1 then malformed(position, "a number with a leading zero") end
  local whole = after
  if code == 46 then after, code = after_digits(after + 1) end
  if code == 101 or code == 69 then
    code = byte(text, after + 1)
    after = after_digits(after + ((code == 43 or code == 45) and 2 or 1))
  end
  return after, whole
end

local function after_literal(position, code)
  local word = (code == 116 and "true") or (code == 102 and "false") or (code == 110 and "null")
  if not word or sub(text, position, position + #word - 1) ~= word then
    malformed(position, position > #text and "the end where a value is missing" or "something that is no value")
  end
  return position + #word
end
