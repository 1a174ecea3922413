-- Who asked, through which function, how often and for how much
SELECT
  caller,
  function,
  COUNT(*) AS predictions,
  COUNT(DISTINCT request_id) AS requests,
  COUNT(DISTINCT symbol) AS symbols,
  MAX(made_at) AS last
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
GROUP BY caller, function
ORDER BY predictions DESC, caller, function
