-- Which labels the predictions of rows said, per day and model
SELECT
  DATE(made_at) AS day,
  model_id,
  label,
  COUNT(*) AS predictions,
  AVG(probability) AS mean_probability
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
  AND label IS NOT NULL
GROUP BY day, model_id, label
ORDER BY day DESC, model_id, predictions DESC, label
