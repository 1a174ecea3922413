-- How many predictions per day were made of the last known candles
SELECT
  DATE(made_at) AS day,
  COUNT(*) AS predictions,
  COUNTIF(stale) AS stale_predictions,
  COUNTIF(stale) / COUNT(*) AS stale_share,
  COUNT(DISTINCT IF(stale, symbol, NULL)) AS stale_symbols
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
  AND stale IS NOT NULL
GROUP BY day
ORDER BY day DESC
