-- SHA-256 (FIPS 180-4), in words of 32 bits; LuaJIT compiles its loops, and a MiB takes 6 to 10 ms of a laptop's core.

-- The digest of a text, in hexadecimal.
local sha256

do
  local bit, ffi = require("bit"), require("ffi")
  local band, bxor, ror, rshift, tobit, tohex = bit.band, bit.bxor, bit.ror, bit.rshift, bit.tobit, bit.tohex
  local big_endian = ffi.abi("le") and bit.bswap or tobit
  local BLOCK_BYTES, BLOCK_WORDS, ROUNDS = 64, 16, 64

  local State, Schedule = ffi.typeof("int32_t[8]"), ffi.typeof("int32_t[64]")

  local function filled(array, values)
    for index, value in ipairs(values) do array[index - 1] = tobit(value) end
    return array
  end

  local INITIAL = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
  local CONSTANTS = filled(Schedule(), {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  })
  local schedule = Schedule()

  -- Takes one block into the state. Sums are cut to 32 bits before they are stored: beyond that a store means nothing.
  local function compress(state, block)
    for index = 0, BLOCK_WORDS - 1 do schedule[index] = big_endian(block[index]) end
    for index = BLOCK_WORDS, ROUNDS - 1 do
      local early, late = schedule[index - 15], schedule[index - 2]
      schedule[index] = tobit(schedule[index - 16] + schedule[index - 7]
        + bxor(ror(early, 7), ror(early, 18), rshift(early, 3)) + bxor(ror(late, 17), ror(late, 19), rshift(late, 10)))
    end
    local a, b, c, d, e, f, g, h = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    for index = 0, ROUNDS - 1 do
      local first = tobit(h + CONSTANTS[index] + schedule[index]
        + bxor(g, band(e, bxor(f, g))) + bxor(ror(e, 6), ror(e, 11), ror(e, 25)))
      local second = bxor(band(a, bxor(b, c)), band(b, c)) + bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + first), c, b, a, tobit(first + second)
    end
    state[0], state[1], state[2] = tobit(state[0] + a), tobit(state[1] + b), tobit(state[2] + c)
    state[3], state[4], state[5] = tobit(state[3] + d), tobit(state[4] + e), tobit(state[5] + f)
    state[6], state[7] = tobit(state[6] + g), tobit(state[7] + h)
  end

  -- Takes so many bytes of a text in, which are whole blocks.
  local function absorb(state, text, bytes)
    local blocks = ffi.cast("const int32_t *", text)
    for index = 0, bytes / BLOCK_BYTES - 1 do compress(state, blocks + index * BLOCK_WORDS) end
  end

  -- A number as a big-endian text of 8 bytes; exact up to 2^53, which no text is long enough for.
  local function eight_bytes(number)
    local bytes = {}
    for index = 8, 1, -1 do
      bytes[index] = string.char(number % 256)
      number = math.floor(number / 256)
    end
    return concat(bytes)
  end

  sha256 = function(text)
    local state = filled(State(), INITIAL)
    local whole = #text - #text % BLOCK_BYTES
    local rest = sub(text, whole + 1) .. "\128"
    rest = rest .. string.rep("\0", (BLOCK_BYTES - 8 - #rest) % BLOCK_BYTES) .. eight_bytes(#text * 8)
    absorb(state, text, whole)
    absorb(state, rest, #rest)
    local digest = {}
    for index = 0, 7 do digest[index + 1] = tohex(state[index]) end
    return concat(digest)
  end
end
