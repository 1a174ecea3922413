-- How the probabilities are spread, in steps of a twentieth, per model
SELECT
  model_id,
  LEAST(CAST(FLOOR(probability * 20) AS INT64), 19) / 20 AS from_probability,
  COUNT(*) AS predictions
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
GROUP BY model_id, from_probability
ORDER BY model_id, from_probability
