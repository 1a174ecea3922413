-- Predictions per day and model, and the shares of their signals where they have some
SELECT
  DATE(made_at) AS day,
  model_id,
  COUNT(*) AS predictions,
  COUNTIF(signal = 'up') / NULLIF(COUNT(signal), 0) AS up,
  COUNTIF(signal = 'down') / NULLIF(COUNT(signal), 0) AS down,
  COUNTIF(signal = 'hold') / NULLIF(COUNT(signal), 0) AS hold,
  AVG(probability) AS mean_probability
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
GROUP BY day, model_id
ORDER BY day DESC, model_id
