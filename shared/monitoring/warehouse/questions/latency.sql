-- The latency of each function per day: median, 95th and 99th percentile in milliseconds
WITH ranked AS (
  SELECT
    DATE(made_at) AS day,
    function,
    latency_ms,
    PERCENTILE_CONT(latency_ms, 0.5) OVER (PARTITION BY DATE(made_at), function) AS p50_ms,
    PERCENTILE_CONT(latency_ms, 0.95) OVER (PARTITION BY DATE(made_at), function) AS p95_ms,
    PERCENTILE_CONT(latency_ms, 0.99) OVER (PARTITION BY DATE(made_at), function) AS p99_ms
  FROM predictions
  WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
)
SELECT
  day,
  function,
  COUNT(*) AS predictions,
  ANY_VALUE(p50_ms) AS p50_ms,
  ANY_VALUE(p95_ms) AS p95_ms,
  ANY_VALUE(p99_ms) AS p99_ms,
  MAX(latency_ms) AS longest_ms
FROM ranked
GROUP BY day, function
ORDER BY day DESC, function
