-- GCRA in its continuous form, for several keys at once: all of them are spent, or none. The same sums as in Go's
-- domain/limits, where they are explained.
--
-- KEYS: one for each take. A key holds "at level": microseconds since 1970, and the uses that had not come back then.
-- ARGV: the time in microseconds (0: this server's), whether to spend nothing (1 or 0), then for each take its limit,
--   its period in microseconds and its cost.
-- Returns for each take: allowed (1 or 0), remaining, microseconds until reset, microseconds until a retry.
local TOLERANCE = 1e-6
local call, tonumber, format, find, sub = redis.call, tonumber, string.format, string.find, string.sub
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local now, dry = tonumber(ARGV[1]), ARGV[2] == '1'
local margin = 1000 -- milliseconds that a key outlives its use
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
else
  margin = 3600000 -- the caller's clock need not keep pace with this server's
end

local levels, rewind, pending, all, out = {}, {}, {}, true, {}
for i = 1, #KEYS do
  local limit, period, cost = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local key = KEYS[i]
  local level = pending[key] -- a key that is named twice is spent twice
  if not level then
    level = 0
    local value = call('GET', key)
    local space = value and find(value, ' ', 1, true)
    local at = space and tonumber(sub(value, 1, space - 1))
    local kept = space and tonumber(sub(value, space + 1))
    if at and kept then
      level = min(kept, limit)
      if now > at then
        level = max(level - (now - at) * limit / period, 0)
      end
      rewind[i] = at > now
    end
  end
  pending[key] = level + cost
  levels[i] = level
  local fits = level + cost <= limit + TOLERANCE
  all = all and fits
  out[4 * i - 3] = fits and 1 or 0
  out[4 * i] = fits and 0 or ceil(min(level + cost - limit, limit) * period / limit)
end

for i = 1, #KEYS do
  local limit, period, cost = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local level = levels[i]
  if all and not dry then
    level = level + cost
  end
  local reset = ceil(level * period / limit)
  if not dry and (all or rewind[i]) then
    call('SET', KEYS[i], format('%.0f %.17g', now, level), 'PX', ceil(reset / 1000) + margin)
  end
  out[4 * i - 2] = max(0, floor(limit - level + TOLERANCE))
  out[4 * i - 1] = reset
end
return out
