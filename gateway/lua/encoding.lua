-- Text as it must be before anything reads it: UTF-8 (RFC 3629), and percent-encoding (RFC 3986) that holds UTF-8.

-- The position behind the character of several bytes at a position, or nil where those bytes are none.
local function after_character(text, position)
  local first = byte(text, position)
  local low, high, more = 128, 191, 1 -- of the second byte: no overlong form, no surrogate, nothing beyond U+10FFFF
  if first < 194 or first > 244 then return nil end
  if first >= 240 then
    more = 3
    if first == 240 then low = 144 elseif first == 244 then high = 143 end
  elseif first >= 224 then
    more = 2
    if first == 224 then low = 160 elseif first == 237 then high = 159 end
  end
  local second = byte(text, position + 1)
  if not second or second < low or second > high then return nil end
  for offset = 2, more do
    local follower = byte(text, position + offset)
    if not follower or follower < 128 or follower > 191 then return nil end
  end
  return position + more + 1
end

local function is_utf8(text)
  local position = find(text, "[\128-\255]")
  while position do
    position = after_character(text, position)
    if not position then return false end
    position = find(text, "[\128-\255]", position)
  end
  return true
end

-- The text that is meant, or nil and what is wrong with it.
local function percent_decoded(text)
  local plain = text
  if find(text, "%", 1, true) then
    if find(text, "%%%X") or find(text, "%%.%X") or find(text, "%%.?$") then
      return nil, "holds a percent sign that no two hexadecimal digits follow"
    end
    plain = gsub(text, "%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
  end
  if find(plain, "%z") then return nil, "holds a NUL character (%00)" end
  if not is_utf8(plain) then return nil, "is not valid UTF-8" end
  return plain
end
