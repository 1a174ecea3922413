-- Which versions predicted, from when to when, for how many symbols
SELECT
  model_id,
  LOGICAL_AND(gates_passed) AS gates_passed,
  COUNT(*) AS predictions,
  COUNT(DISTINCT symbol) AS symbols,
  COUNT(DISTINCT package_hash) AS packages,
  MIN(made_at) AS first,
  MAX(made_at) AS last
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
GROUP BY model_id
ORDER BY last DESC, model_id
