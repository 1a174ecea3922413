-- What was delivered more than once, per day
WITH deliveries AS (
  SELECT made_at, prediction_id, COUNT(*) AS times
  FROM predictions_made
  WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
  GROUP BY made_at, prediction_id
)
SELECT
  DATE(made_at) AS day,
  COUNT(*) AS predictions,
  COUNTIF(times > 1) AS delivered_again,
  SUM(times) - COUNT(*) AS extra_rows
FROM deliveries
GROUP BY day
ORDER BY day DESC
