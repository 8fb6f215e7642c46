-- What a scalar may look like (proto3 JSON mapping), whether it stands in a JSON body or in the query.
-- Each check answers nil, or what is wrong.

-- A field's two names lead to one and the same record, so that giving it under both is seen.
for _, fields in pairs(MESSAGES) do
  for name, field in pairs(fields) do fields[name] = fields[field.name] end
end

-- The JSON types that each kind of field takes.
local ACCEPTED = {
  string = { string = true },
  bytes = { string = true },
  bool = { boolean = true },
  int32 = { number = true, string = true },
  uint32 = { number = true, string = true },
  int64 = { number = true, string = true },
  uint64 = { number = true, string = true },
  double = { number = true, string = true },
  enum = { string = true, number = true },
  timestamp = { string = true },
  duration = { string = true },
}
local WANTED = {
  string = "a string", bytes = "a base64 string", bool = "true or false", enum = "the name of a value",
  int32 = "a whole number", uint32 = "a whole number", int64 = "a whole number", uint64 = "a whole number",
  double = "a number", timestamp = 'a time such as "2026-01-31T12:00:00Z"', duration = 'a duration such as "1.5s"',
  message = "an object", struct = "an object", list = "an array",
}
local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
-- google.protobuf.Duration: about 10,000 years.
local MAX_DURATION_S = 315576000000

-- Compared as digits: a double does not tell 2^63 from the largest int64.
local function exceeds(digits, limit)
  return #digits > #limit or (#digits == #limit and digits > limit)
end

-- From minus the one limit to the other.
local function within(below_zero, most)
  local least = below_zero == "0" and "0" or "-" .. below_zero
  return function(text)
    local sign, digits = match(text, "^(-?)0*(%d+)$")
    if not digits then return "must be a whole number" end
    if exceeds(digits, sign == "-" and below_zero or most) then return format("must be from %s to %s", least, most) end
  end
end

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local function fraction_fits(fraction)
  return fraction == "" or (find(fraction, "^%.%d+$") and #fraction <= 10)
end

local function timestamp(text)
  local year, month, day, hour, minute, second, fraction, zone =
    match(text, "^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)(%.?%d*)(.+)$")
  local wrong = "must be " .. WANTED.timestamp .. " (RFC 3339)"
  if not year or not fraction_fits(fraction) then return wrong end
  local ahead = 0 -- of UTC, in minutes
  if zone ~= "Z" then
    local sign, hours, minutes = match(zone, "^([+-])(%d%d):(%d%d)$")
    if not hours or tonumber(hours) > 23 or tonumber(minutes) > 59 then return wrong end
    ahead = tonumber(sign .. "1") * (60 * hours + minutes)
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local days = DAYS[month]
  if month == 2 and is_leap(year) then days = 29 end
  if year < 1 or not days or day < 1 or day > days then return "names a day that does not exist" end
  if tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 59 then
    return "names a time of day that does not exist"
  end
  local of_day = 60 * hour + minute - ahead
  if (year == 1 and month == 1 and day == 1 and of_day < 0)
    or (year == 9999 and month == 12 and day == 31 and of_day >= 24 * 60) then
    return "is no time between the years 1 and 9999 in UTC"
  end
end

local function duration(text)
  local seconds, fraction = match(text, "^-?(%d+)(%.?%d*)s$")
  if not seconds or not fraction_fits(fraction) then return "must be " .. WANTED.duration end
  if tonumber(seconds) > MAX_DURATION_S then return "is longer than a duration may be" end
end

local CHECKS = {
  bool = function(text)
    if text ~= "true" and text ~= "false" then return "must be true or false" end
  end,
  bytes = function(text)
    if not find(text, "^[%w+/_-]*=?=?$") then return "must be a base64 string" end
  end,
  int32 = within("2147483648", "2147483647"),
  uint32 = within("0", "4294967295"),
  int64 = within("9223372036854775808", "9223372036854775807"),
  uint64 = within("0", "18446744073709551615"),
  double = function(text)
    if not find(text, "^-?%d+%.?%d*[eE]?[+-]?%d*$") and not find(text, "^-?Infinity$") and text ~= "NaN" then
      return "must be a number"
    end
  end,
  enum = function(text, field)
    if not field.values[upper(text)] then return "must be one of " .. field.names end
  end,
  timestamp = timestamp,
  duration = duration,
}

-- What is wrong with the text as a value of this field, or nil.
local function value_fault(text, field)
  local check = CHECKS[field.kind]
  return check and check(text, field)
end
